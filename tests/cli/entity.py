"""A namespace's entity, told by a test what to publish."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cells.placement import Placement, Verdict
from controlplane.resource import Condition, ConditionStatus
from controlplane.store.projections import Projections
from provisioning.journal import Journal
from provisioning.types import (
    NamespaceCondition,
    NamespaceLife,
    ObservedNamespace,
    OperationState,
    Step,
    StepRecord,
    StepState,
)
from tests.api.running import Tenant
from tests.cli.command import Cli, Finished, running
from tests.eventually import eventually
from tests.store.views import CELL, REGION

PLACEMENT = Placement(
    REGION,
    CELL,
    (
        Verdict(CELL, 0.98, ("98.0% of its namespaces stay free",)),
        Verdict("aws-us-east-1-c2", 0.5, ("50.0% of its namespaces stay free",)),
        Verdict("synthetic-c0", None, ("ring 0 holds synthetic load only", "not validated yet")),
    ),
)


@dataclass(frozen=True)
class Entity:
    tenant: Tenant
    id: str

    async def works_on(self, *steps: StepRecord) -> None:
        """Publish that the operation is under way."""
        await self._publish(NamespaceLife.ACTIVATING, OperationState.IN_PROGRESS, steps)

    async def succeeds(self, *steps: StepRecord) -> None:
        """Publish that the operation has ended well."""
        await self._publish(NamespaceLife.ACTIVE, OperationState.FULFILLED, steps)

    async def fails(self, reason: str, *steps: StepRecord) -> None:
        """Publish that the operation has failed."""
        await self._publish(NamespaceLife.DELETED, OperationState.FAILED, steps, reason)

    async def _publish(
        self,
        life: NamespaceLife,
        operation_state: OperationState,
        steps: tuple[StepRecord, ...],
        reason: str = "",
    ) -> None:
        state = self.tenant.api.writer.namespaces[self.id]
        assert state.spec is not None
        assert state.created_at is not None
        ended = operation_state is not OperationState.IN_PROGRESS
        state.operations[-1] = replace(
            state.operations[-1],
            state=operation_state,
            steps=steps,
            failure_reason=reason,
            finished_at=datetime.now(UTC) if ended else None,
        )
        state.revision += 1
        state.life = life
        state.observed = ObservedNamespace(placement=PLACEMENT)
        state.conditions[NamespaceCondition.READY] = _ready(life)
        view = Journal(state).view(state.spec, state.created_at)
        await Projections(self.tenant.api.pool).publish_namespace(view)


async def entity(tenant: Tenant, *, asked: int = 1) -> Entity:
    """Return the entity of the namespace `orders`, once that many operations were asked of it."""
    namespace = f"orders.{tenant.account}"

    async def is_asked() -> bool:
        known = tenant.api.writer.namespaces.get(namespace)
        return known is not None and len(known.operations) >= asked

    await eventually(is_asked, within=60)
    return Entity(tenant, namespace)


async def settled(cli: Cli, tenant: Tenant, *arguments: object, operations: int = 1) -> Finished:
    """Run a command, and let each operation that it asks of the namespace `orders` be done."""
    namespaces, namespace = tenant.api.writer.namespaces, f"orders.{tenant.account}"

    def asked() -> int:
        return len(namespaces[namespace].operations) if namespace in namespaces else 0

    before = asked()
    async with running(cli, *arguments) as command:
        for number in range(before + 1, before + operations + 1):

            async def heard(number: int = number) -> bool:
                return command.done() or asked() >= number

            await eventually(heard, within=60)
            if command.done():
                break
            await tenant.api.settle(namespace)
    return command.result()


def step(step: Step, state: StepState = StepState.DONE, message: str = "") -> StepRecord:
    """Return a step that took 40 ms, or is still taken."""
    began = datetime.now(UTC)
    going_on = state in (StepState.RUNNING, StepState.UNDOING)
    ended = None if going_on else began + timedelta(milliseconds=40)
    return StepRecord(step, state, began, ended, message)


def _ready(life: NamespaceLife) -> Condition:
    status = ConditionStatus(str(life is NamespaceLife.ACTIVE))
    return Condition(NamespaceCondition.READY, status, "Proven", 1, datetime.now(UTC))
