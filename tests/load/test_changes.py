"""Many changes of one namespace by many: none is lost, and none of its histories grows too long."""

import asyncio
from collections import defaultdict
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from controlplane.ids import namespace_workflow_id
from controlplane.payloads import data_converter
from provisioning.types import NamespaceLife, OperationState
from provisioning.workflow import NamespaceWorkflow
from tests.engine import namespace_spec
from tests.load.changes import CLIENTS, NAME, Outcome, engine_that_suggests, many_changes

CHANGES = 300
SUGGESTION = 100
ONE_TURN = CLIENTS * 3 + 30
"""Events that may follow the suggestion: of the changes accepted already, and of bringing them
about."""


@pytest.mark.timeout(600)
async def test_changes_by_many_clients_outlive_continue_as_new() -> None:
    async with engine_that_suggests(SUGGESTION) as temporal:
        outcome = await many_changes(temporal, CHANGES)
        histories = await _histories(temporal)

    _none_is_lost_or_done_twice(outcome)
    _each_follows_the_one_before(outcome)
    assert len(outcome.events) > 5, "continued as new in between"
    assert max(outcome.events) <= SUGGESTION + ONE_TURN
    for history in histories:
        await _replayer().replay_workflow(history)


def _none_is_lost_or_done_twice(outcome: Outcome) -> None:
    days = outcome.view.spec.retention - namespace_spec().retention
    assert days == timedelta(days=outcome.counted)
    assert outcome.world.registered[NAME].retention == outcome.view.spec.retention
    assert outcome.view.tags == outcome.tags
    assert outcome.view.life == NamespaceLife.ACTIVE
    states = {operation: outcome.operations[operation].state for operation in outcome.accepted}
    assert set(states.values()) == {OperationState.FULFILLED}
    assert len(states) == CHANGES


def _each_follows_the_one_before(outcome: Outcome) -> None:
    revisions = [view.revision for view in outcome.views]
    assert revisions == sorted(set(revisions))
    retentions = [view.spec.retention for view in outcome.views]
    assert retentions == sorted(retentions)
    seen = defaultdict(list)
    for view in outcome.views:
        for tag, value in view.tags.items():
            seen[tag].append(int(value))
    assert all(values == sorted(values) for values in seen.values())


async def _histories(temporal: Client) -> list[WorkflowHistory]:
    query = f'WorkflowId = "{namespace_workflow_id(NAME)}"'
    runs = [run async for run in temporal.list_workflows(query)]
    handles = [temporal.get_workflow_handle(run.id, run_id=run.run_id) for run in runs]
    return await asyncio.gather(*(handle.fetch_history() for handle in handles))


def _replayer() -> Replayer:
    return Replayer(
        workflows=[NamespaceWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
    )
