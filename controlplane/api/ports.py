"""What the API needs of the entities behind it."""

from typing import Protocol

from provisioning.types import CreateNamespace, DeleteNamespace, NamespaceView


class EngineUnavailable(Exception):
    """No entity took the request up, as far as we know; the same request can be sent again."""


class NamespaceWriter(Protocol):
    """Refusals are raised as `controlplane.errors`, silence as EngineUnavailable."""

    async def create(self, namespace: str, request: CreateNamespace) -> NamespaceView:
        """Ask for a namespace; return once that is durably recorded."""
        ...

    async def delete(self, namespace: str, request: DeleteNamespace) -> NamespaceView:
        """Ask for a namespace to go; return once that is durably recorded."""
        ...
