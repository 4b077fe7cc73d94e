"""Whether what entities went through can be replayed: if not, they are stuck from then on."""

from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from cells.ledger.workflow import LedgerWorkflow
from cells.visits.workflow import CellVisitWorkflow
from cells.workflow import CellWorkflow
from controlplane.payloads import data_converter
from provisioning.automatic.workflow import AvailabilityWorkflow
from provisioning.evacuation.workflow import EvacuationWorkflow
from provisioning.replicas.workflow import ReplicaChangeWorkflow
from provisioning.workflow import NamespaceWorkflow
from rollout.workflow import RolloutWorkflow
from tests.fleet import RunningFleet
from tests.traces import engine_of


async def assert_everything_replays(fleet: RunningFleet) -> None:
    """Every entity's history, crashes and all, leads today's code to the same commands."""
    replayer = Replayer(
        workflows=[
            AvailabilityWorkflow,
            CellVisitWorkflow,
            CellWorkflow,
            EvacuationWorkflow,
            LedgerWorkflow,
            NamespaceWorkflow,
            ReplicaChangeWorkflow,
            RolloutWorkflow,
        ],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
    )
    executions = (await engine_of(fleet)).list_workflows()
    async with replayer.workflow_replay_iterator(executions.map_histories()) as results:
        async for result in results:
            assert result.replay_failure is None, result.replay_failure
