"""Namespaces' entities held in memory: they decide as the real ones do, and act when told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cells.placement import Placement
from controlplane.api.ports import EngineUnavailable
from controlplane.errors import not_found
from provisioning import requests
from provisioning.journal import Journal
from provisioning.requests import Change
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    CreateNamespace,
    DeleteNamespace,
    FailOver,
    InspectNamespace,
    IssueClientCertificate,
    MigrateNamespace,
    NamespaceLife,
    NamespaceSpec,
    NamespaceState,
    NamespaceView,
    ObservedNamespace,
    OperationState,
    RenameSearchAttribute,
    ReplicaChangeKind,
    RevokeCertificate,
    SetRequestLimit,
    UpdateNamespace,
    UpdateTags,
)
from tests.store.views import passive_replica


@dataclass
class MemoryWriter:
    """Implements `controlplane.api.ports.NamespaceWriter`."""

    namespaces: dict[str, NamespaceState] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The operation ids of the requests that arrived, in order."""
    silent: bool = False
    reply_lost: bool = False
    """Requests are recorded, and nobody hears of it."""
    in_between: Callable[[], Awaitable[None]] | None = None
    """Happens once, before the next request is looked at."""
    _born: int = 0

    async def create(self, namespace: str, request: CreateNamespace) -> NamespaceView:
        await self._hear(request.operation)
        state = self.namespaces.get(namespace, NamespaceState(namespace))
        requests.check_create(state, request)
        if state.spec is None:
            self._born += 1
            requests.record_create(state, request, f"{self._born:08}-uid", datetime.now(UTC))
            self.namespaces[namespace] = state
        return self._reply(state)

    async def update(self, namespace: str, request: UpdateNamespace) -> NamespaceView:
        return await self._change(namespace, request)

    async def rename_search_attribute(
        self, namespace: str, request: RenameSearchAttribute
    ) -> NamespaceView:
        return await self._change(namespace, request)

    async def tag(self, namespace: str, request: UpdateTags) -> NamespaceView:
        return await self._change(namespace, request)

    async def set_request_limit(self, namespace: str, request: SetRequestLimit) -> NamespaceView:
        return await self._change(namespace, request)

    async def revoke(self, namespace: str, request: RevokeCertificate) -> NamespaceView:
        return await self._change(namespace, request)

    async def issue(self, namespace: str, request: IssueClientCertificate) -> NamespaceView:
        return await self._change(namespace, request)

    async def inspect(self, namespace: str, request: InspectNamespace) -> NamespaceView:
        return await self._change(namespace, request)

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView:
        return await self._change(namespace, request)

    async def migrate(self, namespace: str, request: MigrateNamespace) -> NamespaceView:
        return await self._change(namespace, request)

    async def confirm_migration(self, namespace: str, request: ConfirmMigration) -> NamespaceView:
        return await self._change(namespace, request)

    async def abort_change(self, namespace: str, request: AbortReplicaChange) -> NamespaceView:
        return await self._change(namespace, request)

    async def delete(self, namespace: str, request: DeleteNamespace) -> NamespaceView:
        await self._hear(request.operation)
        state = self._known(namespace)
        requests.check_delete(state, request)
        requests.record_delete(state, request, datetime.now(UTC))
        state.life = NamespaceLife.DELETING
        return self._reply(state)

    def settle(self, namespace: str, cell: str) -> NamespaceView:
        """Do what was asked, and return the view that the entity publishes."""
        state = self._known(namespace)
        state.life = NamespaceLife.DELETED if state.deleting else NamespaceLife.ACTIVE
        assert state.spec is not None
        self._place(state, state.spec, cell)
        if state.deleting:
            del self.namespaces[namespace]
        return self._closed(state, OperationState.FULFILLED)

    def _place(self, state: NamespaceState, spec: NamespaceSpec, cell: str) -> None:
        """Bring replicas to where they are wanted, each in the first cell of its region."""
        active = state.observed.placement
        if active is None or active.cell is None:
            active = Placement(spec.region, cell, ())
        for change in state.wanted_changes:
            if change.kind is ReplicaChangeKind.FAILOVER:
                active = state.passive[change.target].placement
        others = list(spec.regions)
        others.remove(active.region)
        state.observed = ObservedNamespace(placement=active)
        state.passive = {f"{region}-c1": passive_replica(region) for region in others}
        state.wanted_changes, state.replica_operations = [], []

    def fail(self, namespace: str, reason: str) -> NamespaceView:
        """Give up what was asked, and return the view that the entity publishes."""
        state = self._known(namespace)
        state.life = NamespaceLife.UPDATE_FAILED
        return self._closed(state, OperationState.FAILED, reason)

    def published(self, namespace: str) -> NamespaceView:
        """Return the view that the entity publishes now."""
        state = self._known(namespace)
        Journal(state).touch()
        return _view(state)

    async def _change(self, namespace: str, request: Change) -> NamespaceView:
        await self._hear(request.operation)
        state = self._known(namespace)
        requests.check_change(state, request)
        requests.record_change(state, request, datetime.now(UTC))
        return self._reply(state)

    def _known(self, namespace: str) -> NamespaceState:
        if namespace not in self.namespaces:
            raise not_found(f"namespace {namespace} not found")
        return self.namespaces[namespace]

    async def _hear(self, operation: str) -> None:
        if self.silent:
            raise EngineUnavailable("the engine does not answer")
        meanwhile, self.in_between = self.in_between, None
        if meanwhile is not None:
            await meanwhile()
        self.asked.append(operation)

    def _reply(self, state: NamespaceState) -> NamespaceView:
        if self.reply_lost:
            raise EngineUnavailable("the engine does not answer")
        return _view(state)

    def _closed(
        self, state: NamespaceState, outcome: OperationState, reason: str = ""
    ) -> NamespaceView:
        journal = Journal(state)
        journal.close(journal.open_operations(), outcome, datetime.now(UTC), reason)
        journal.touch()
        return _view(state)


def _view(state: NamespaceState) -> NamespaceView:
    assert state.spec is not None
    assert state.created_at is not None
    return Journal(state).view(state.spec, state.created_at)
