"""The namespaces' entities, reached through the engine, and how long anything there may take."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from controlplane.api.ports import EngineUnavailable
from controlplane.payloads import data_converter
from provisioning.client import NamespaceClient
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    CreateNamespace,
    DeleteNamespace,
    FailOver,
    InspectNamespace,
    IssueClientCertificate,
    MigrateNamespace,
    NamespaceView,
    RenameSearchAttribute,
    RevokeCertificate,
    SetRequestLimit,
    UpdateNamespace,
    UpdateTags,
)

ACCEPT_WITHIN_SECONDS = 15.0
"""How long an entity may take to record a request: no worker may be running."""

_SILENT = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
    # The entity's last workflow task failed or timed out, say with its worker; it is tried again.
    RPCStatusCode.FAILED_PRECONDITION,
}


T = TypeVar("T")


async def connect_lazily() -> Client:
    """Return a client of the engine that the environment names; it connects at its first call."""
    config = ClientConfig.load_client_connect_config()
    return await Client.connect(**config, lazy=True, data_converter=data_converter)


@dataclass(frozen=True)
class EngineWriter:
    """Adapter of `controlplane.api.ports.NamespaceWriter`."""

    namespaces: NamespaceClient
    accept_within_seconds: float = ACCEPT_WITHIN_SECONDS

    async def create(self, namespace: str, request: CreateNamespace) -> NamespaceView:
        return await self._accepted(self.namespaces.create(namespace, request))

    async def update(self, namespace: str, request: UpdateNamespace) -> NamespaceView:
        return await self._accepted(self.namespaces.update(namespace, request))

    async def rename_search_attribute(
        self, namespace: str, request: RenameSearchAttribute
    ) -> NamespaceView:
        return await self._accepted(self.namespaces.rename_search_attribute(namespace, request))

    async def tag(self, namespace: str, request: UpdateTags) -> NamespaceView:
        return await self._accepted(self.namespaces.tag(namespace, request))

    async def set_request_limit(self, namespace: str, request: SetRequestLimit) -> NamespaceView:
        return await self._accepted(self.namespaces.set_request_limit(namespace, request))

    async def revoke(self, namespace: str, request: RevokeCertificate) -> NamespaceView:
        return await self._accepted(self.namespaces.revoke(namespace, request))

    async def issue(self, namespace: str, request: IssueClientCertificate) -> NamespaceView:
        return await self._accepted(self.namespaces.issue(namespace, request))

    async def inspect(self, namespace: str, request: InspectNamespace) -> NamespaceView:
        return await self._accepted(self.namespaces.inspect(namespace, request))

    async def delete(self, namespace: str, request: DeleteNamespace) -> NamespaceView:
        return await self._accepted(self.namespaces.delete(namespace, request))

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView:
        return await self._accepted(self.namespaces.fail_over(namespace, request))

    async def migrate(self, namespace: str, request: MigrateNamespace) -> NamespaceView:
        return await self._accepted(self.namespaces.migrate(namespace, request))

    async def confirm_migration(self, namespace: str, request: ConfirmMigration) -> NamespaceView:
        return await self._accepted(self.namespaces.confirm_migration(namespace, request))

    async def abort_change(self, namespace: str, request: AbortReplicaChange) -> NamespaceView:
        return await self._accepted(self.namespaces.abort_change(namespace, request))

    async def _accepted(self, request: Awaitable[NamespaceView]) -> NamespaceView:
        return await accepted(request, self.accept_within_seconds)


async def accepted(request: Awaitable[T], within_seconds: float) -> T:
    """Return what an entity answers; raise EngineUnavailable when nothing answers in time."""
    try:
        async with asyncio.timeout(within_seconds):
            return await request
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise _unavailable("has not taken the request up in time") from error
    except RPCError as error:
        if error.status in _SILENT:
            raise _unavailable("does not answer") from error
        raise
    except RuntimeError as error:
        # How a lazy client reports that it could not connect.
        if str(error).startswith("Failed client connect"):
            raise _unavailable("cannot be reached") from error
        raise


def _unavailable(what: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"the engine {what}: send the same request again, with the same id (async_operation_id, "
        "or that of the rollout)"
    )
