"""The messages of namespaces, each built once for as long as its namespace stays as it is."""

from temporalio.api.cloud.namespace.v1 import Namespace

from controlplane.api.endpoints import Addresses, Endpoints
from controlplane.api.messages import namespace_message
from controlplane.api.versions import ApiVersion
from controlplane.store.batching import Recent
from provisioning.types import NamespaceView

_KEPT = 4096


class NamespaceMessages:
    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._built: Recent[tuple[str, int, Addresses, ApiVersion], Namespace] = Recent(_KEPT)

    async def of(self, view: NamespaceView, version: ApiVersion) -> Namespace:
        """Return the namespace as a caller of that version sees it. Copy it before changing it."""
        addresses = await self._endpoints.of(view)
        # A revision is of one incarnation: those of the next are all above it.
        key = (view.id, view.revision, addresses, version)
        message = self._built.get(key)
        if message is None:
            message = namespace_message(view, addresses, version)
            self._built.put(key, message)
        return message
