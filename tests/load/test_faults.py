"""What tenants notice of faults and changes while twenty of their namespaces are at work."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from tests.fleet import RunningFleet
from tests.load.faults import FAULTS, NAMESPACES, RECONNECT_EVERY_SECONDS, under
from tests.load.outcomes import Count, table
from tests.load.stage import Stage, stage_of
from tests.tenant import tenant_of

INTERVAL_SECONDS = 2.0
"""Gentler than by itself: other tests run on the same machine at the same time."""
MOST_GAP_SECONDS = 5.0
"""One second is the rule, and `python -m tests.load.faults` measures it on a machine of its own.
Here other tests keep both cores busy; a cut would cost the ten seconds of a workflow task."""
SDK_REPEATS_SECONDS = 5.0
"""For so long an SDK surely repeats a call by itself; it gives up some seconds later. On a machine
of its own a gatekeeper is back before that; on a busy one it may take longer to start."""
COMPLETED = "WorkflowType = 'Greeting' AND ExecutionStatus = 'Completed'"
"""The load's, and not the canaries that prove a namespace."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
async def stage(
    fleet: RunningFleet, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("load")
    async with (
        tenant_of(fleet) as tenant,
        stage_of(tenant, folder, NAMESPACES, INTERVAL_SECONDS, RECONNECT_EVERY_SECONDS) as stage,
    ):
        yield stage


@dataclass
class Counts:
    """What is counted under each fault, once."""

    stage: Stage
    counted: dict[str, Count] = field(default_factory=dict)

    async def of(self, fault: str) -> Count:
        if fault not in self.counted:
            self.counted[fault] = await under(self.stage, FAULTS[fault])
        return self.counted[fault]


@pytest.fixture(scope="module")
def counts(stage: Stage) -> Iterator[Counts]:
    """Everything that was counted is printed in the end."""
    counts = Counts(stage)
    yield counts
    print(f"\n{table(counts.counted)}")


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_workflow_fails_and_no_error_reaches_a_tenant_when(
    counts: Counts, fault: str
) -> None:
    counted = await counts.of(fault)

    assert counted.due > 0, "there was a load"
    assert counted.failed == 0
    if counted.slowest_connection <= SDK_REPEATS_SECONDS:
        assert counted.errors == ()
    else:
        assert {error.partition(":")[0] for error in counted.errors} <= {"UNAVAILABLE"}


async def test_the_rotation_of_a_client_ca_leaves_no_gap(counts: Counts) -> None:
    rotation, alone = await counts.of("client CAs rotate"), await counts.of("nothing happens")

    assert rotation.refusals == (), "whoever connects gets in at once"
    # What the machine itself costs, with all that runs on it, is not the rotation's.
    assert rotation.longest_gap <= MOST_GAP_SECONDS + alone.longest_gap


async def test_every_workflow_that_was_due_ran_once(stage: Stage) -> None:
    await stage.load.stop()

    async def ran(namespace: str) -> int:
        client = await next(
            entrance for entrance in stage.load.entrances if entrance.namespace == namespace
        ).connect()
        return (await client.count_workflows(COMPLETED)).count

    namespaces = list(stage.load.started)
    completed = await asyncio.gather(*map(ran, namespaces))
    assert dict(zip(namespaces, completed, strict=True)) == stage.load.started
    assert sum(stage.load.started.values()) == len(stage.load.ended)
