"""What the API needs of the entities behind it."""

from typing import Protocol

from provisioning.types import (
    CreateNamespace,
    DeleteNamespace,
    InspectNamespace,
    IssueClientCertificate,
    NamespaceView,
    RenameSearchAttribute,
    RevokeCertificate,
    SetRequestLimit,
    UpdateNamespace,
    UpdateTags,
)


class EngineUnavailable(Exception):
    """No entity took the request up, as far as we know; the same request can be sent again."""


class NamespaceWriter(Protocol):
    """Asks something of a namespace, and returns once that is durably recorded.

    Refusals are raised as `controlplane.errors`, silence as EngineUnavailable.
    """

    async def create(self, namespace: str, request: CreateNamespace) -> NamespaceView: ...

    async def update(self, namespace: str, request: UpdateNamespace) -> NamespaceView: ...

    async def rename_search_attribute(
        self, namespace: str, request: RenameSearchAttribute
    ) -> NamespaceView: ...

    async def tag(self, namespace: str, request: UpdateTags) -> NamespaceView: ...

    async def set_request_limit(
        self, namespace: str, request: SetRequestLimit
    ) -> NamespaceView: ...

    async def revoke(self, namespace: str, request: RevokeCertificate) -> NamespaceView: ...

    async def issue(self, namespace: str, request: IssueClientCertificate) -> NamespaceView: ...

    async def inspect(self, namespace: str, request: InspectNamespace) -> NamespaceView: ...

    async def delete(self, namespace: str, request: DeleteNamespace) -> NamespaceView: ...
