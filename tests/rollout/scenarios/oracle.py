"""What holds of every scenario, whatever happens in it."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from cells.visits.types import VisitRequest
from controlplane.payloads import data_converter
from rollout.simulation.virtual.engine import Engine
from rollout.types import Event, RolloutView
from rollout.workflow import RolloutWorkflow

_BEGINNINGS = ("visit begins", "cell goes back")


def assert_each_change_is_made_once(begun: Iterable[VisitRequest], ended: Counter[str]) -> None:
    """Every visit has begun once and ended at most once: nobody else changed a cell by its id."""
    visits = Counter(request.id for request in begun)
    assert not {visit: n for visit, n in visits.items() if n != 1}
    assert not {visit: n for visit, n in ended.items() if n != 1 or visit not in visits}


def assert_explained(
    view: RolloutView, journal: Mapping[int, Event], begun: Iterable[VisitRequest]
) -> None:
    """The journal is whole, and has every decision with its reason."""
    assert sorted(journal) == list(range(1, len(journal) + 1)), "an event was lost"
    assert not [event for event in journal.values() if not event.message]
    told = {event.message for event in journal.values() if event.what in _BEGINNINGS}
    assert {f"visit {request.id}" for request in begun} <= told
    assert all(wait.message for wait in view.waits)


async def assert_each_run_replays(client: Client, workflows: Iterable[str]) -> list[int]:
    """Every run of these workflows leads today's code to the same commands.

    Return how many events each run has, the latest first.
    """
    lengths = []
    for workflow_id in workflows:
        run: str | None = None
        while run != "":
            history = await client.get_workflow_handle(workflow_id, run_id=run).fetch_history()
            await _replayer().replay_workflow(history)
            lengths.append(len(history.events))
            run = history.events[
                0
            ].workflow_execution_started_event_attributes.continued_execution_run_id
    return lengths


def assert_each_kept_run_replays(engine: Engine, workflows: Iterable[str]) -> None:
    """The same of runs in virtual time, whose histories the SDK replays as if from a server."""
    histories = [
        WorkflowHistory(workflow_id, run.history.events)
        for workflow_id in workflows
        for run in engine.runs[workflow_id]
    ]

    async def replay() -> None:
        for history in histories:
            await _replayer().replay_workflow(history)

    asyncio.run(replay())


def _replayer() -> Replayer:
    return Replayer(
        workflows=[RolloutWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
    )
