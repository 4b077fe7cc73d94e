"""Scenario 1: workers are killed in the middle of a batch; engine and entities are real."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from cells.client import CellClient
from cells.ledger.activities import LedgerActivities
from cells.ledger.client import LedgerClient
from cells.ledger.memory import MemoryLedgerProjection
from cells.ledger.types import LEDGER_ID
from cells.ledger.workflow import LedgerWorkflow
from cells.release import Release, SchemaStep, Software
from cells.visits.types import BeginVisit
from cells.visits.workflow import CellVisitWorkflow
from cells.workflow import CellWorkflow
from controlplane.ids import cell_workflow_id, rollout_workflow_id
from controlplane.payloads import data_converter
from controlplane.queues import fleet_queue
from rollout.activities import RolloutActivities
from rollout.client import RolloutClient
from rollout.memory import MemoryEvidence, MemoryInventory, MemoryRollouts
from rollout.policy import RingPolicy, RollbackScope, RolloutPolicy
from rollout.types import CellFacts, CellStatus, Fleet, Outcome, Phase, RolloutView, StartRollout
from rollout.workflow import RolloutWorkflow
from tests.engine import fresh_namespace
from tests.eventually import eventually
from tests.faults.deadly import Faults
from tests.rollout.scenarios.oracle import assert_explained
from tests.visits.visiting import NEXT, OLD, PROMPT, spec_at
from tests.visits.world import FileRuntime

REGION = "aws-killed"
CELLS = tuple(f"cell-{number:02}" for number in range(12))
WITH_SCHEMA = Release("r-next", NEXT, schema_steps=(SchemaStep("main", "1.19"),))
MOMENT = timedelta(milliseconds=50)
THREE_AT_ONCE = RolloutPolicy(
    rings=(RingPolicy(0, ("1", "3", "all"), MOMENT, MOMENT, tolerance="2"),),
    rollback=RollbackScope.NONE,
    visit=PROMPT,
)
SECOND_BATCH = CELLS[1:4]
KILLED = SECOND_BATCH[1]
OUTAGE = 3.0
"""Seconds without any worker for cells."""


@dataclass(frozen=True)
class RealFleet:
    """Twelve cells whose servers are files, which outlive every worker."""

    client: Client
    runtime: FileRuntime
    published: MemoryRollouts

    @property
    def view(self) -> RolloutView:
        return self.published.views["r1"]

    def look(self) -> Fleet:
        """Return the fleet as the runtime shows it: what cells run is all that changes."""
        return Fleet(datetime.now(UTC), tuple(map(self._facts, CELLS)), servers=(OLD, NEXT))

    def _facts(self, cell: str) -> CellFacts:
        running = self.runtime.read(cell)["running"]
        version = running["server_version"] if running else OLD
        has = WITH_SCHEMA.digest if version == NEXT else ""
        return CellFacts(cell, "aws", REGION, 0, version, has, ready=True)

    async def until(self, *statuses: CellStatus, of: str) -> None:
        async def is_so() -> bool:
            known = self.published.views.get("r1")
            return known is not None and known.cells[of].status in statuses

        await eventually(is_so, within=120)


@pytest.mark.timeout(300)
async def test_a_batch_whose_workers_are_killed_goes_on_where_it_was(
    engine: WorkflowEnvironment, tmp_path: Path
) -> None:
    client = await fresh_namespace(engine.client)
    fleet = RealFleet(client, FileRuntime(tmp_path / "cells"), MemoryRollouts())
    faults = Faults(tmp_path / "faults")
    async with _rollouts_and_ledger(fleet):
        # Given a ring of twelve, and a batch of three, of which one is between schema and server
        # when all workers for cells are killed,
        faults.plan(KILLED, "deploy_software.1", "kill", "before")
        first = await _worker(client, tmp_path)
        for cell in CELLS:
            await CellClient(client).register(cell, spec_at(OLD, REGION))
        await RolloutClient(client).start(
            StartRollout("r1", WITH_SCHEMA, THREE_AT_ONCE, "ann", "monthly")
        )
        assert await asyncio.wait_for(first.wait(), 120) == -signal.SIGKILL
        await fleet.until(CellStatus.VISITING, of=KILLED)
        assert fleet.runtime.read(KILLED)["changes"] == ["schema main 1.19 by 2"]
        leases = await LedgerClient(client).leases()
        assert KILLED in leases, "a lease does not lapse because its holder is silent"

        # When nobody works for a while, and then somebody does again,
        await asyncio.sleep(OUTAGE)
        second = await _worker(client, tmp_path)

        # Then the rollout ends well, without anybody's help:
        async def has_ended() -> bool:
            return fleet.view.phase is Phase.ENDED

        try:
            await eventually(has_ended, within=180)
            await RolloutClient(client).handle("r1").result()

            # every cell was changed once, by one generation, its schema first;
            for cell in CELLS:
                assert fleet.runtime.read(cell)["changes"] == [
                    "schema main 1.19 by 2",
                    f"server {NEXT} by 2",
                ]
            assert fleet.view.outcome is Outcome.SUCCEEDED
            assert {progress.visits for progress in fleet.view.cells.values()} == {1}
            assert await LedgerClient(client).leases() == {}

            # and what the dead worker had begun is refused, however late it comes.
            other = BeginVisit("another", "r-other", "somebody")
            later = await CellClient(client).begin_visit(KILLED, other)
            spec = spec_at(NEXT, REGION)
            await fleet.runtime.deploy(KILLED, spec, Software(NEXT), later)
            with pytest.raises(ApplicationError, match="StaleGeneration"):
                await fleet.runtime.deploy(KILLED, spec, Software(OLD), 2)
            assert fleet.runtime.read(KILLED)["refused"] == [2]
            assert (await fleet.runtime.running(KILLED, spec)) == Software(NEXT)
        finally:
            second.terminate()
            await second.wait()
    events = {event.number: event for event in fleet.view.events}
    assert_explained(fleet.view, events, [])
    await _assert_all_replays(client, fleet.view)


@asynccontextmanager
async def _rollouts_and_ledger(fleet: RealFleet) -> AsyncIterator[None]:
    ledger = LedgerClient(fleet.client)
    doing = RolloutActivities(
        inventory=MemoryInventory(fleet.look),
        evidence=MemoryEvidence(),
        ledger=ledger,
        rollouts=RolloutClient(fleet.client),
        projection=fleet.published,
    )
    async with Worker(
        fleet.client,
        task_queue=fleet_queue(),
        workflows=[RolloutWorkflow, LedgerWorkflow],
        activities=[
            doing.take_inventory,
            doing.gather_evidence,
            doing.acquire_lease,
            doing.give_back_lease,
            doing.supersede_rollout,
            doing.publish_rollout,
            LedgerActivities(MemoryLedgerProjection()).publish_ledger,
        ],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield


async def _worker(client: Client, folder: Path) -> asyncio.subprocess.Process:
    """Start the one worker for the cells."""
    engine = client.service_client.config.target_host
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.visits.worker", str(folder)),
        *(engine, client.namespace, REGION),
    )


async def _assert_all_replays(client: Client, view: RolloutView) -> None:
    replayer = Replayer(
        workflows=[CellVisitWorkflow, CellWorkflow, LedgerWorkflow, RolloutWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
    )
    visits = [f"visit/{progress.visit}" for progress in view.cells.values()]
    cells = [cell_workflow_id(cell) for cell in view.cells]
    for workflow_id in (rollout_workflow_id(view.id), LEDGER_ID, *visits, *cells):
        run: str | None = None
        while run != "":
            history = await client.get_workflow_handle(workflow_id, run_id=run).fetch_history()
            await replayer.replay_workflow(history)
            started = history.events[0].workflow_execution_started_event_attributes
            run = started.continued_execution_run_id
