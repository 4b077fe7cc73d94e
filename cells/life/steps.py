"""How each layer is built and dismantled, and how patiently: activities, from inside a workflow."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from cells.life import plan
from cells.life.activities import (
    CellLifeActivities,
    CellSiteActivities,
    KnownCell,
    Leaving,
    NameAt,
    Plot,
    Site,
)
from cells.life.record import Found
from cells.life.types import Layer, LifeState, LifeView, Residents
from cells.providers.types import Account
from controlplane.queues import cells_queue

HEARTBEAT = timedelta(seconds=10)
"""A worker that is silent for longer is dead, and its step begun again by another. Short also
because a step hears that it is to stop when it has sent one."""
# The control plane's own database and entities: an answer soon, or none for a while.
OF_THE_FLEET = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10), maximum_attempts=8),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
# Somebody waits for the answer.
AT_ONCE = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=1), maximum_attempts=3),
)
# Without its projection nobody sees what becomes of a cell, so no end of trying.
TO_BE_SEEN = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=5)),
)


@dataclass(frozen=True)
class Patience:
    """How long one try may take, and how many there are.

    By attempts and not by time: while no worker runs, nothing is tried, and nothing is given up.
    """

    at_most: timedelta
    attempts: int = 15
    """With pauses of up to a minute: nine minutes of failing at once."""

    def here(self, state: LifeState) -> ActivityConfig:
        """Return how a step is taken where the cell is."""
        return ActivityConfig(
            task_queue=cells_queue(state.blueprint.region),
            start_to_close_timeout=self.at_most,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RetryPolicy(
                maximum_interval=timedelta(minutes=1), maximum_attempts=self.attempts
            ),
            # So that dismantling never overtakes building.
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


A_LOOK = Patience(timedelta(minutes=5))
A_WHILE = Patience(timedelta(minutes=30))
FOR_LONG = Patience(timedelta(hours=3), attempts=6)
"""A database over three zones takes half an hour, and a cluster as long."""


async def obstacles(state: LifeState) -> tuple[str, ...]:
    return await workflow.execute_activity_method(
        CellSiteActivities.find_obstacles, state.blueprint, **A_LOOK.here(state)
    )


async def build(layer: Layer, state: LifeState) -> Found:
    """See to it that a layer stands, and return what it leaves for those above it."""
    blueprint = state.blueprint
    match layer:
        case Layer.PREFLIGHT:
            return None  # Nothing stands there: see `obstacles`.
        case Layer.ACCOUNT:
            return await workflow.execute_activity_method(
                CellSiteActivities.ensure_account, blueprint, **A_WHILE.here(state)
            )
        case Layer.INFRASTRUCTURE:
            return await workflow.execute_activity_method(
                CellSiteActivities.build_infrastructure, _plot(state), **FOR_LONG.here(state)
            )
        case Layer.CLUSTER:
            await workflow.execute_activity_method(
                CellSiteActivities.enter_cluster, _site(state), **A_LOOK.here(state)
            )
        case Layer.STORES:
            await workflow.execute_activity_method(
                CellSiteActivities.prepare_stores, _site(state), **A_WHILE.here(state)
            )
        case Layer.SERVICES:
            return await workflow.execute_activity_method(
                CellSiteActivities.install_services, _site(state), **FOR_LONG.here(state)
            )
        case Layer.NAME:
            assert state.addresses is not None, "services come before the name"
            await workflow.execute_activity_method(
                CellSiteActivities.publish_cell_name,
                NameAt(blueprint.cell, state.addresses),
                **A_WHILE.here(state),
            )
        case Layer.REGISTRATION:
            await workflow.execute_activity_method(
                CellLifeActivities.register_cell, _known(state), **OF_THE_FLEET
            )
        case Layer.PROOF:
            await workflow.execute_activity_method(
                CellSiteActivities.prove_cell, _known(state), **A_LOOK.here(state)
            )
        case Layer.OPENING:
            await workflow.execute_activity_method(
                CellLifeActivities.open_cell, blueprint.cell, **OF_THE_FLEET
            )
    return None


async def dismantle(layer: Layer, state: LifeState) -> tuple[str, ...]:
    """Take a layer down, whatever there is of it; return what is left and keeps it standing."""
    blueprint = state.blueprint
    match layer:
        case Layer.REGISTRATION:
            await workflow.execute_activity_method(
                CellLifeActivities.forget_cell, blueprint.cell, **OF_THE_FLEET
            )
        case Layer.NAME:
            await workflow.execute_activity_method(
                CellSiteActivities.withdraw_cell_name, blueprint.cell, **A_WHILE.here(state)
            )
        case Layer.SERVICES:
            await workflow.execute_activity_method(
                CellSiteActivities.remove_services, _site(state), **FOR_LONG.here(state)
            )
        case Layer.STORES:
            await workflow.execute_activity_method(
                CellSiteActivities.forget_stores, blueprint, **A_WHILE.here(state)
            )
        case Layer.INFRASTRUCTURE:
            await workflow.execute_activity_method(
                CellSiteActivities.dismantle_infrastructure, _plot(state), **FOR_LONG.here(state)
            )
        case Layer.ACCOUNT:
            return await _close_account(state)
        case Layer.OPENING | Layer.PROOF | Layer.CLUSTER | Layer.PREFLIGHT:
            pass  # Nothing was made.
    return ()


async def cordon(state: LifeState) -> None:
    asked = state.ends_for
    assert asked is not None, "somebody wants it to go"
    what = f"{asked.kind.value.lower()}: {asked.reason}" if asked.reason else asked.kind.value
    await workflow.execute_activity_method(
        CellLifeActivities.cordon_leaving_cell,
        Leaving(state.blueprint.cell, what, asked.by),
        **OF_THE_FLEET,
    )


async def residents(state: LifeState, patience: ActivityConfig) -> Residents:
    return await workflow.execute_activity_method(
        CellLifeActivities.count_residents, state.blueprint.cell, **patience
    )


async def reopen(state: LifeState) -> None:
    await workflow.execute_activity_method(
        CellLifeActivities.open_cell, state.blueprint.cell, **OF_THE_FLEET
    )


async def publish(view: LifeView) -> None:
    await workflow.execute_activity_method(CellLifeActivities.publish_life, view, **TO_BE_SEEN)


async def _close_account(state: LifeState) -> tuple[str, ...]:
    account = state.account or await workflow.execute_activity_method(
        CellSiteActivities.find_account, state.blueprint, **A_LOOK.here(state)
    )
    if account is None:
        return ()
    plot = Plot(state.blueprint, account)
    leftovers = await workflow.execute_activity_method(
        CellSiteActivities.sweep_account, plot, **A_LOOK.here(state)
    )
    if not leftovers:
        await workflow.execute_activity_method(
            CellSiteActivities.close_account, plot, **A_WHILE.here(state)
        )
    return tuple(leftovers)


def _plot(state: LifeState) -> Plot:
    return Plot(state.blueprint, _account(state))


def _account(state: LifeState) -> Account:
    assert state.account is not None, "the account comes before what is in it"
    return state.account


def _site(state: LifeState) -> Site:
    assert state.foundation is not None, "infrastructure comes before what runs on it"
    return Site(state.blueprint, state.foundation)


def _known(state: LifeState) -> KnownCell:
    assert state.addresses is not None, "services come before the fleet hears of them"
    site = _site(state)
    spec = plan.spec(site.blueprint, site.foundation, state.addresses)
    return KnownCell(state.blueprint.cell, spec)
