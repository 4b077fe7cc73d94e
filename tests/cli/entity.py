"""A namespace's entity, told by a test what to publish."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cells.placement import Placement, Verdict
from controlplane.resource import Condition, ConditionStatus
from controlplane.store.projections import Projections
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
        state: OperationState,
        steps: tuple[StepRecord, ...],
        reason: str = "",
    ) -> None:
        namespaces = self.tenant.api.writer.namespaces
        known = namespaces[self.id]
        ended = state is not OperationState.IN_PROGRESS
        operation = replace(
            known.operations[-1],
            state=state,
            steps=steps,
            failure_reason=reason,
            finished_at=datetime.now(UTC) if ended else None,
        )
        namespaces[self.id] = replace(
            known,
            revision=known.revision + 1,
            life=life,
            observed=ObservedNamespace(placement=PLACEMENT),
            conditions={NamespaceCondition.READY: _ready(life)},
            operations=(operation,),
        )
        await Projections(self.tenant.api.pool).publish_namespace(namespaces[self.id])


async def entity(tenant: Tenant, *, asked: int = 1) -> Entity:
    """Return the entity of the namespace `orders`, once that many operations were asked of it."""
    namespace = f"orders.{tenant.account}"

    async def is_asked() -> bool:
        known = tenant.api.writer.namespaces.get(namespace)
        return known is not None and len(known.operations) >= asked

    await eventually(is_asked, within=60)
    return Entity(tenant, namespace)


def step(step: Step, state: StepState = StepState.DONE, message: str = "") -> StepRecord:
    """Return a step that took 40 ms, or is still taken."""
    began = datetime.now(UTC)
    going_on = state in (StepState.RUNNING, StepState.UNDOING)
    ended = None if going_on else began + timedelta(milliseconds=40)
    return StepRecord(step, state, began, ended, message)


def _ready(life: NamespaceLife) -> Condition:
    status = ConditionStatus(str(life is NamespaceLife.ACTIVE))
    return Condition(NamespaceCondition.READY, status, "Proven", 1, datetime.now(UTC))
