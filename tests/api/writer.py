"""Namespaces' entities held in memory: they record what is wanted and do what a test tells."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cells.placement import Placement
from controlplane.api.ports import EngineUnavailable
from controlplane.errors import already_exists, failed_precondition, not_found
from provisioning.types import (
    CreateNamespace,
    DeleteNamespace,
    NamespaceLife,
    NamespaceView,
    ObservedNamespace,
    Operation,
    OperationKind,
    OperationState,
)


@dataclass
class MemoryWriter:
    """Implements `controlplane.api.ports.NamespaceWriter`."""

    namespaces: dict[str, NamespaceView] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The operation ids of the requests that arrived, in order."""
    silent: bool = False
    reply_lost: bool = False
    """Requests are recorded, and nobody hears of it."""
    _revision: int = 0

    async def create(self, namespace: str, request: CreateNamespace) -> NamespaceView:
        self._hear(request.operation)
        known = self.namespaces.get(namespace)
        if known is None:
            self._revision += 1
            known = NamespaceView(
                id=namespace,
                uid=f"{self._revision:08}-uid",
                spec=request.spec,
                generation=1,
                revision=self._revision,
                life=NamespaceLife.ACTIVATING,
                created_at=datetime.now(UTC),
                modified_at=None,
                observed=ObservedNamespace(),
                conditions={},
                operations=(_pending(request.operation, OperationKind.CREATE),),
            )
        elif all(operation.id != request.operation for operation in known.operations):
            raise already_exists(f"namespace {namespace} exists already")
        return self._reply(known)

    async def delete(self, namespace: str, request: DeleteNamespace) -> NamespaceView:
        self._hear(request.operation)
        known = self.namespaces.get(namespace)
        if known is None:
            raise not_found(f"namespace {namespace} not found")
        if request.resource_version not in ("", known.resource_version):
            raise failed_precondition(f"namespace {namespace} is at {known.resource_version}")
        if all(operation.id != request.operation for operation in known.operations):
            operation = _pending(request.operation, OperationKind.DELETE)
            known = self._changed(known, NamespaceLife.DELETING, (*known.operations, operation))
        return self._reply(known)

    def settle(self, namespace: str, cell: str) -> NamespaceView:
        """Finish what was asked last, and return the view that the entity publishes."""
        known = self.namespaces[namespace]
        *earlier, last = known.operations
        done = replace(last, state=OperationState.FULFILLED, finished_at=datetime.now(UTC))
        gone = last.kind is OperationKind.DELETE
        life = NamespaceLife.DELETED if gone else NamespaceLife.ACTIVE
        settled = replace(
            self._changed(known, life, (*earlier, done)),
            observed=ObservedNamespace(placement=Placement(known.spec.region, cell, ())),
        )
        self.namespaces[namespace] = settled
        if gone:
            del self.namespaces[namespace]
        return settled

    def _changed(
        self, known: NamespaceView, life: NamespaceLife, operations: tuple[Operation, ...]
    ) -> NamespaceView:
        self._revision += 1
        return replace(known, revision=self._revision, life=life, operations=operations)

    def _hear(self, operation: str) -> None:
        if self.silent:
            raise EngineUnavailable("the engine does not answer")
        self.asked.append(operation)

    def _reply(self, view: NamespaceView) -> NamespaceView:
        self.namespaces[view.id] = view
        if self.reply_lost:
            raise EngineUnavailable("the engine does not answer")
        return view


def _pending(operation: str, kind: OperationKind) -> Operation:
    return Operation(operation, kind, OperationState.PENDING, started_at=datetime.now(UTC))
