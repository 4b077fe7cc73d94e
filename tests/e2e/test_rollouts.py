"""Releases through the rings of a real fleet: real servers, replaced under the load of tenants."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.local.cells import CELLS
from rollout.types import CellStatus, Outcome, Phase, RolloutView
from tests.e2e.operators import IMPATIENT, Operator, operator_of
from tests.failures import FLEET
from tests.fleet import RunningFleet, running_fleet
from tests.load.outcomes import Count
from tests.load.stage import Stage, stage_of
from tests.tenant import Tenant, tenant_of

pytestmark = [pytest.mark.xdist_group(FLEET), pytest.mark.timeout(600)]

OLD, MIDDLE, NEW = "1.30.2", "1.31.2", "1.32.0"
NAMESPACES = 6
INTERVAL_SECONDS = 0.5
RECONNECT_EVERY_SECONDS = 5.0
RING_0 = [cell.id for cell in CELLS if cell.ring == 0]
RING_1 = [cell.id for cell in CELLS if cell.ring == 1]


@pytest.fixture(scope="module")
async def fleet_of_old(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningFleet]:
    """A fleet of its own whose cells begin two minor versions back."""
    home = tmp_path_factory.mktemp("rollouts") / "home"
    async with running_fleet(home, "--server-version", OLD) as fleet:
        yield fleet


@pytest.fixture(scope="module")
async def operator(fleet_of_old: RunningFleet) -> AsyncIterator[Operator]:
    async with operator_of(fleet_of_old) as operator:
        yield operator


@pytest.fixture(scope="module")
async def tenant(fleet_of_old: RunningFleet) -> AsyncIterator[Tenant]:
    async with tenant_of(fleet_of_old) as tenant:
        yield tenant


@pytest.fixture
async def stage(tenant: Tenant, tmp_path: Path) -> AsyncIterator[Stage]:
    """Namespaces on every cell that takes tenants, with workers and workflows all the while."""
    async with stage_of(
        tenant, tmp_path, NAMESPACES, INTERVAL_SECONDS, RECONNECT_EVERY_SECONDS
    ) as stage:
        yield stage


async def test_every_cell_is_upgraded_twice_and_no_tenant_has_an_error(
    operator: Operator, stage: Stage
) -> None:
    assert set((await operator.servers()).values()) == {OLD}
    for version in (MIDDLE, NEW):
        await operator.release(f"server-{version}", server_version=version)
        began = time.monotonic()
        rollout = await operator.start(f"server-{version}", policy=IMPATIENT)
        view = await operator.until(rollout, Phase.ENDED, Phase.HALTED, within=240)
        counted = await stage.load.count(began, time.monotonic())

        _tell(view, counted)
        assert view.outcome is Outcome.SUCCEEDED, view.message
        assert set((await operator.servers()).values()) == {version}
        assert {progress.status for progress in view.cells.values()} == {CellStatus.DONE}
        assert _rings_in_order(view)
        assert counted.due > 0
        assert (counted.failed, counted.errors) == (0, ())


async def test_a_release_whose_servers_do_not_start_is_halted_in_ring_0_and_taken_back(
    operator: Operator,
) -> None:
    await operator.release("does-not-start", configuration=DEADLY)
    rollout = await operator.start("does-not-start", policy=IMPATIENT)
    view = await operator.until(rollout, Phase.HALTED, Phase.ENDED, within=240)

    assert view.phase is Phase.HALTED, view.message
    assert _touched(view) == set(RING_0)
    assert {view.cells[cell].status for cell in RING_0} == {CellStatus.FAILED}
    await operator.post(
        f"/fleet/v1/rollouts/{rollout}:control", {"kind": "abort", "reason": "it does not start"}
    )
    ended = await operator.until(rollout, Phase.ENDED, within=60)
    assert ended.outcome in (Outcome.FAILED, Outcome.ABORTED)


async def test_a_release_that_fails_only_under_load_is_halted_in_ring_1_with_one_cell_touched(
    operator: Operator,
    stage: Stage,  # noqa: ARG001 - it is the load.
) -> None:
    await operator.release("fails-under-load", configuration=OVERWHELMED)
    rollout = await operator.start("fails-under-load", policy=IMPATIENT)
    view = await operator.until(rollout, Phase.HALTED, Phase.ENDED, within=240)

    assert view.phase is Phase.HALTED, view.message
    assert _touched(view) == {*RING_0, *RING_1}
    assert {view.cells[cell].status for cell in RING_0} == {CellStatus.DONE}
    assert {view.cells[cell].status for cell in RING_1} == {CellStatus.FAILED}
    await operator.post(
        f"/fleet/v1/rollouts/{rollout}:control",
        {"kind": "abort", "reason": "it fails under load", "scope": "all"},
    )
    ended = await operator.until(rollout, Phase.ENDED, within=120)
    assert {ended.cells[cell].status for cell in RING_0} == {CellStatus.REVERTED}


DEADLY = {"frontend.rps": 0}
"""A server with this ends at once."""
OVERWHELMED = {"frontend.rps": 12}
"""Enough for the control plane alone; with tenants at work it is not."""


def _touched(view: RolloutView) -> set[str]:
    return {cell for cell, progress in view.cells.items() if progress.visits}


def _rings_in_order(view: RolloutView) -> bool:
    starts = [event.cell for event in view.events if event.what == "visit begins"]
    rings = [view.cells[cell].ring for cell in starts]
    return rings == sorted(rings) and len(starts) == len(set(starts)) == len(view.cells)


def _tell(view: RolloutView, counted: Count) -> None:
    """Report the gaps: pytest shows them with the durations of the tests."""
    gaps = ", ".join(f"{c} {p.gap.total_seconds():.1f} s" for c, p in sorted(view.cells.items()))
    print(f"{view.release}: {counted.completed} of {counted.due} workflows; gaps: {gaps}")
