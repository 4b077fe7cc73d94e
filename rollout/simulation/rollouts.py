"""How a simulation reaches its rollouts, as `rollout.client` reaches those on an engine."""

from dataclasses import dataclass

from controlplane.ids import rollout_workflow_id
from rollout.plan import new_state
from rollout.simulation.virtual.engine import Engine, Update
from rollout.types import Control, StartRollout
from rollout.workflow import RolloutWorkflow


@dataclass(frozen=True)
class SimulatedRollouts:
    """What is asked is answered when the engine goes on."""

    engine: Engine

    def start(self, request: StartRollout) -> Update:
        workflow_id = rollout_workflow_id(request.id)
        self.engine.start(RolloutWorkflow, workflow_id, new_state(request))
        return self.engine.update(workflow_id, "begin", request)

    def control(self, rollout: str, request: Control) -> Update:
        return self.engine.update(rollout_workflow_id(rollout), "control", request)
