"""What the API needs of the entities behind it."""

from dataclasses import dataclass
from typing import Protocol

from cells.ledger.types import Fence, Fenced
from cells.life.types import CreateCell, LifeCommand, LifeView
from cells.types import CellView
from provisioning.automatic.types import (
    AvailabilityView,
    LiftCellHold,
    PauseAvailability,
    ResumeAvailability,
    SetAvailabilityPolicy,
)
from provisioning.evacuation.types import Control as EvacuationControl
from provisioning.evacuation.types import EvacuationView, StartEvacuation
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
from rollout.simulation.types import Forecast, Simulation
from rollout.types import Control, RolloutView, StartRollout


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

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView: ...

    async def migrate(self, namespace: str, request: MigrateNamespace) -> NamespaceView: ...

    async def confirm_migration(
        self, namespace: str, request: ConfirmMigration
    ) -> NamespaceView: ...

    async def abort_change(self, namespace: str, request: AbortReplicaChange) -> NamespaceView: ...


class RolloutWriter(Protocol):
    """Refusals are raised as `controlplane.errors`, silence as EngineUnavailable."""

    async def start(self, request: StartRollout) -> RolloutView:
        """Begin the rollout; asked for again with the same content, it is not begun again."""
        ...

    async def control(self, rollout: str, request: Control) -> RolloutView:
        """Tell a rollout what a person wants; under the same id that is done once."""
        ...


class LedgerWriter(Protocol):
    """Refusals are raised as `controlplane.errors`, silence as EngineUnavailable."""

    async def fence(self, request: Fence) -> Fenced | None:
        """Take a lease from its holder; return None where that has none."""
        ...


class CellWriter(Protocol):
    """Refusals are raised as `controlplane.errors`, silence as EngineUnavailable."""

    async def cordon(self, cell: str, *, reason: str, by: str) -> CellView: ...

    async def uncordon(self, cell: str) -> CellView: ...

    async def lift_quarantine(self, cell: str, *, by: str) -> CellView: ...

    async def release_visit(self, cell: str, *, reason: str, by: str) -> CellView:
        """Free the cell from a visit whose workflow does not run any more."""
        ...


class EvacuationWriter(Protocol):
    """Refusals are raised as `controlplane.errors`, silence as EngineUnavailable."""

    async def start(self, request: StartEvacuation) -> EvacuationView:
        """Begin to empty a cell; asked for again with the same content, it is not begun again."""
        ...

    async def control(self, cell: str, request: EvacuationControl) -> EvacuationView:
        """Tell an evacuation what a person wants; under the same id that is done once."""
        ...


class LifeWriter(Protocol):
    """Refusals are raised as `controlplane.errors`, silence as EngineUnavailable."""

    async def create(self, request: CreateCell) -> LifeView:
        """Begin to build a cell; asked for again with the same blueprint, it is not begun again."""
        ...

    async def command(self, cell: str, command: LifeCommand) -> LifeView:
        """Tell a cell's life what a person wants; under the same operation that is done once."""
        ...


class AvailabilityWriter(Protocol):
    """Refusals are raised as `controlplane.errors`, silence as EngineUnavailable."""

    async def pause(self, request: PauseAvailability) -> AvailabilityView: ...

    async def resume(self, request: ResumeAvailability) -> AvailabilityView: ...

    async def set_policy(self, request: SetAvailabilityPolicy) -> AvailabilityView: ...

    async def lift_hold(self, request: LiftCellHold) -> AvailabilityView: ...


class Simulator(Protocol):
    async def forecast(self, simulation: Simulation) -> Forecast:
        """Return what to expect of a rollout; no fleet is touched."""
        ...


@dataclass(frozen=True)
class FleetWriters:
    """What changes the fleet, or thinks its changes through."""

    rollouts: RolloutWriter
    ledger: LedgerWriter
    cells: CellWriter
    simulator: Simulator
    evacuations: EvacuationWriter
    availability: AvailabilityWriter
    lives: LifeWriter
