"""Everything that the Fleet API has for those who run the fleet, put together."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import IPv4Network

from fastapi import APIRouter

from controlplane.api.availability_routes import AvailabilityRoutes
from controlplane.api.calendar_routes import CalendarRoutes
from controlplane.api.calls import Calls
from controlplane.api.cell_routes import CellRoutes
from controlplane.api.evacuation_routes import EvacuationRoutes
from controlplane.api.evacuation_starts import EvacuationStarts
from controlplane.api.ledger_routes import LedgerRoutes
from controlplane.api.life_requests import LifeRequests
from controlplane.api.life_routes import LifeRoutes
from controlplane.api.operator_calls import OperatorCalls
from controlplane.api.ports import FleetWriters
from controlplane.api.release_routes import ReleaseRoutes
from controlplane.api.rollout_routes import RolloutRoutes
from controlplane.api.rollout_starts import RolloutStarts
from controlplane.identity.types import Principal
from controlplane.store.availability import AvailabilityProjections
from controlplane.store.calendars import Calendars
from controlplane.store.cell_blueprints import CellBlueprints
from controlplane.store.cell_lives import CellLives
from controlplane.store.evacuation_projections import EvacuationProjections
from controlplane.store.evacuations import Evacuations
from controlplane.store.inventory import StoredInventory
from controlplane.store.ledger import LedgerProjections
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel
from controlplane.store.releases import Releases
from controlplane.store.replication import ReplicationLinks
from controlplane.store.rollout_projections import RolloutProjections
from controlplane.store.rollouts import Rollouts


def operator_routers(
    calls: Calls,
    pool: Pool,
    reads: ReadModel,
    writers: FleetWriters,
    networks: Sequence[IPv4Network],
    caller: Callable[..., Awaitable[Principal]],
) -> Iterator[APIRouter]:
    """Yield the routers; `caller` is the dependency that says who is calling, and `networks` are
    the ranges from which cells get theirs."""
    asked, releases, calendars = OperatorCalls(calls), Releases(pool), Calendars(pool)
    starts = RolloutStarts(
        releases,
        Rollouts(pool),
        StoredInventory(pool),
        reads,
        writers.rollouts,
        RolloutProjections(pool),
    )
    yield CellRoutes(asked, reads, Projections(pool), writers.cells, ReplicationLinks(pool)).router(
        caller
    )
    evacuations, emptied = Evacuations(pool), EvacuationProjections(pool)
    emptying = EvacuationStarts(reads, evacuations, writers.evacuations, emptied)
    yield EvacuationRoutes(asked, evacuations, emptying, writers.evacuations, emptied).router(
        caller
    )
    lives, blueprints = CellLives(pool), CellBlueprints(pool, networks)
    wishes = LifeRequests(blueprints, reads, releases, writers.lives, lives, emptying)
    yield LifeRoutes(asked, lives, wishes).router(caller)
    yield AvailabilityRoutes(
        asked, reads, AvailabilityProjections(pool), writers.availability
    ).router(caller)
    yield ReleaseRoutes(asked, releases).router(caller)
    yield RolloutRoutes(asked, starts, calendars, writers.simulator).router(caller)
    yield LedgerRoutes(asked, LedgerProjections(pool), writers.ledger).router(caller)
    yield CalendarRoutes(asked, calendars).router(caller)
