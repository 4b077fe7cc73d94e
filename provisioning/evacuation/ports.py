"""What the emptying of a cell asks of the rest. Every method can be repeated without harm."""

from collections.abc import Sequence
from typing import Protocol

from cells.ledger.types import Acquire, Answer, GiveBack, LedgerView
from cells.types import CellView
from provisioning.evacuation.types import EvacuationView
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    FailOver,
    MigrateNamespace,
    NamespaceView,
)


class Namespaces(Protocol):
    """Namespaces as they were last published."""

    async def in_cell(self, cell: str) -> Sequence[NamespaceView]:
        """Return every namespace that has a replica in the cell, active or passive, or is placed
        there while it is created."""
        ...

    async def named(self, namespaces: Sequence[str]) -> Sequence[NamespaceView]:
        """Return these; those that do not exist are left out."""
        ...


class ReplicaChanges(Protocol):
    """The namespaces' entities: see `provisioning.client` for what they refuse."""

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView: ...

    async def migrate(self, namespace: str, request: MigrateNamespace) -> NamespaceView: ...

    async def confirm_migration(
        self, namespace: str, request: ConfirmMigration
    ) -> NamespaceView: ...

    async def abort_change(self, namespace: str, request: AbortReplicaChange) -> NamespaceView: ...


class Cells(Protocol):
    async def cells(self) -> Sequence[CellView]:
        """Return every cell as it was last published."""
        ...


class CellEntities(Protocol):
    """The entities of the cells: see `cells.client`."""

    async def describe(self, cell: str) -> CellView: ...

    async def cordon(self, cell: str, *, reason: str, by: str) -> CellView: ...

    async def uncordon(self, cell: str) -> CellView: ...


class Disturbances(Protocol):
    async def read(self) -> LedgerView:
        """Return the disruption ledger as it was last published."""
        ...


class CellLedger(Protocol):
    """The disruption ledger itself: see `cells.ledger.client`."""

    async def acquire(self, asked: Acquire) -> Answer: ...

    async def give_back(self, request: GiveBack) -> None: ...


class EvacuationProjection(Protocol):
    async def publish_evacuation(self, view: EvacuationView) -> None:
        """Make the view readable, unless a newer revision of the same evacuation already is."""
        ...
