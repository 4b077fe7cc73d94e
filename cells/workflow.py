"""The life of one cell."""

import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.workflow import ContinueAsNewVersioningBehavior

from cells import observations
from cells.activities import CellActivities, ObserveCell
from cells.types import (
    NOTHING,
    Allocation,
    CellSpec,
    CellState,
    CellView,
    Cordon,
    CordonCell,
    Release,
    Reserve,
    RetireCell,
)
from cells.visits import record
from cells.visits.types import BeginVisit, EndVisit, VisitMoved
from controlplane.errors import failed_precondition, no_capacity

OBSERVE_EVERY = timedelta(seconds=30)
OBSERVE_AGAIN = timedelta(seconds=5)
"""After an observation that found something wrong: a cell that comes back soon counts again."""
OBSERVE_TIMEOUT = timedelta(seconds=20)
OBSERVE_RETRY = RetryPolicy(maximum_attempts=3)
PUBLISH_AFTER = timedelta(milliseconds=200)
"""Changes come in bursts: one publication says them all, and nobody's reservation waits for it."""
PUBLISH_TIMEOUT = timedelta(seconds=5)
PUBLISH_RETRY = RetryPolicy(maximum_interval=timedelta(seconds=5))
SAY_AT_LEAST_EVERY = timedelta(minutes=2)
"""Though nothing is new: what is not said any more is not taken for true (`cells.silence`)."""
RESERVATION_LIFETIME = timedelta(minutes=15)
"""How long capacity is held for a namespace that is neither confirmed nor released: longer than a
creation may take, so that only a hold whose owner is gone ever lapses."""


@workflow.defn
class CellWorkflow:
    """Knows one cell: what it should be, whether it is, and who holds which part of it.

    Handlers only record; `run` is the one place that looks at the world and reports. Capacity is
    given out by the handlers alone, one at a time, so it can never be given twice.
    """

    @workflow.init
    def __init__(self, state: CellState) -> None:
        self._state = state
        self._published_revision = 0
        self._observed_generation = 0
        self._next_observation = workflow.now()

    @workflow.run
    async def run(self, _: CellState) -> None:
        while not self._should_roll_over():
            if self._observation_is_due():
                await self._observe()
            self._drop_lapsed_reservations()
            if self._has_long_said_nothing():
                self._touch()
            if self._state.revision != self._published_revision:
                await workflow.sleep(PUBLISH_AFTER)
                await self._publish()
            if self._state.retired and self._state.revision == self._published_revision:
                await workflow.wait_condition(workflow.all_handlers_finished)
                return
            await self._wait_for_change()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            self._state, initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE
        )

    @workflow.update
    def configure(self, spec: CellSpec) -> CellView:
        """Record what the cell should be, and look at it again; the same spec changes nothing."""
        self._next_observation = workflow.now()
        if spec != self._state.spec:
            self._state.spec = spec
            self._state.generation += 1
            self._touch()
        return self._view()

    @workflow.update
    def reserve(self, request: Reserve) -> None:
        """Hold capacity for a namespace; its own earlier hold is replaced, not added to."""
        self._state.allocations[request.namespace] = Allocation(
            request.amount, request.owner, workflow.now() + RESERVATION_LIFETIME
        )
        self._touch()

    @reserve.validator
    def _check_reserve(self, request: Reserve) -> None:
        # Placement decided on a projection; what counts is here, and now.
        if self._state.retired:
            raise no_capacity(f"{self._state.id} is no part of the fleet any more")
        if self._state.cordon is not None:
            raise no_capacity(f"{self._state.id} was cordoned: {self._state.cordon.reason}")
        if self._state.quarantine is not None:
            raise no_capacity(f"{self._state.id} is quarantined: {self._state.quarantine.reason}")
        if self._state.visit is not None:
            raise no_capacity(f"{self._state.id} is being brought to {self._state.visit.release}")
        held = [
            allocation.amount
            for namespace, allocation in self._state.allocations.items()
            if namespace != request.namespace and not _has_lapsed(allocation, workflow.now())
        ]
        free = self._state.spec.capacity - sum(held, NOTHING)
        if shortages := free.shortages(request.amount):
            raise no_capacity(f"{self._state.id} is full: {', '.join(shortages)}")

    @workflow.signal
    def confirm(self, request: Reserve) -> None:
        """The namespace lives here now. True whatever became of its reservation meanwhile."""
        self._state.allocations[request.namespace] = Allocation(
            request.amount, request.owner, expires_at=None
        )
        self._touch()

    @workflow.signal
    def release(self, request: Release) -> None:
        held = self._state.allocations.get(request.namespace)
        if held is not None and held.owner == request.owner:
            del self._state.allocations[request.namespace]
            self._touch()

    @workflow.update
    def cordon(self, request: CordonCell) -> CellView:
        """Stop placing namespaces here; those that live here stay."""
        self._state.cordon = Cordon(request.reason, request.by, workflow.now())
        self._touch()
        return self._view()

    @workflow.update
    def uncordon(self) -> CellView:
        self._state.cordon = None
        self._touch()
        return self._view()

    @workflow.update
    def begin_visit(self, request: BeginVisit) -> int:
        """Let a visit change the cell, alone, and return the generation that it writes with."""
        generation = self._state.generation
        writes_with = record.begin(self._state, request, workflow.now())
        if self._state.generation != generation:
            self._touch()
        return writes_with

    @begin_visit.validator
    def _check_begin_visit(self, request: BeginVisit) -> None:
        if obstacle := record.obstacle(self._state, request.visit):
            raise failed_precondition(obstacle)

    @workflow.update
    def fence_visit(self, visit: str) -> int:  # noqa: ARG002 - the validator's
        """Return a higher generation for the undo: what the visit began is refused from then on."""
        generation = record.fence(self._state)
        self._touch()
        return generation

    @fence_visit.validator
    def _check_fence_visit(self, visit: str) -> None:
        if reason := record.cannot_go_on(self._state, visit):
            raise failed_precondition(reason)

    @workflow.signal
    def visit_moved(self, moved: VisitMoved) -> None:
        if record.move(self._state, moved, workflow.now()):
            self._touch()

    @workflow.update
    def end_visit(self, request: EndVisit) -> CellView:
        """Take note of what the visit left; a cell that it left broken is quarantined."""
        if record.end(self._state, request, workflow.now()):
            self._touch()
        return self._view()

    @end_visit.validator
    def _check_end_visit(self, request: EndVisit) -> None:
        if reason := record.cannot_end(self._state, request.visit):
            raise failed_precondition(reason)

    @workflow.update
    def lift_quarantine(self, by: str) -> CellView:  # noqa: ARG002 - for the history
        """Let automation near the cell again."""
        if self._state.quarantine is not None:
            self._state.quarantine = None
            self._touch()
        return self._view()

    @workflow.update
    def retire(self, request: RetireCell) -> CellView:
        """Take the cell from the fleet, for ever; its namespaces have gone before."""
        if not self._state.retired:
            self._state.retired = True
            self._state.cordon = Cordon(request.reason, request.by, workflow.now())
            self._touch()
        return self._view()

    @retire.validator
    def _check_retire(self, request: RetireCell) -> None:  # noqa: ARG002 - the signature's
        if residents := sorted(self._state.allocations):
            raise failed_precondition(
                f"{self._state.id} holds {len(residents)} namespaces, such as {residents[0]}: move "
                "or delete them first"
            )
        if self._state.visit is not None:
            raise failed_precondition(
                f"{self._state.id} is being brought to {self._state.visit.release}: wait for that"
            )

    # No queries: an answer from a worker that had to load the history may run ahead of it, and no
    # replay survives that. What is asked by an update is in the history.

    @workflow.update
    def describe(self) -> CellView:
        return self._view()

    @workflow.update
    def allocations(self) -> dict[str, Allocation]:
        """Return who holds what, reservations included."""
        return self._state.allocations

    def _view(self) -> CellView:
        state = self._state
        allocated = sum((a.amount for a in state.allocations.values()), NOTHING)
        return CellView(
            id=state.id,
            spec=state.spec,
            generation=state.generation,
            revision=state.revision,
            cordon=state.cordon,
            allocated=allocated,
            namespaces=len(state.allocations),
            conditions=state.conditions,
            server_version=None if state.observed is None else state.observed.server_version,
            visit=state.visit,
            ended_visits=tuple(state.ended_visits),
            release=state.release,
            software=state.software,
            quarantine=state.quarantine,
            said_at=state.said_at,
            retired=state.retired,
        )

    def _observation_is_due(self) -> bool:
        return (
            self._observed_generation != self._state.generation
            or workflow.now() >= self._next_observation
        )

    async def _observe(self) -> None:
        state = self._state
        generation, spec = state.generation, state.spec
        try:
            observed = await workflow.execute_activity_method(
                CellActivities.observe_cell,
                ObserveCell(state.id, spec),
                start_to_close_timeout=OBSERVE_TIMEOUT,
                schedule_to_start_timeout=OBSERVE_EVERY,
                retry_policy=OBSERVE_RETRY,
                summary=f"generation {generation}",
            )
        except ActivityError as error:
            conditions = observations.unseen(state, generation, str(error.cause), workflow.now())
        else:
            if observed != state.observed:
                state.observed = observed
                self._touch()
            conditions = observations.seen(state, observed, spec, generation, workflow.now())
        if conditions != state.conditions:
            state.conditions = conditions
            self._touch()
        next_look = OBSERVE_EVERY if observations.is_ready(conditions) else OBSERVE_AGAIN
        self._observed_generation = generation
        self._next_observation = workflow.now() + next_look

    def _has_long_said_nothing(self) -> bool:
        said_at = self._state.said_at
        return said_at is None or workflow.now() - said_at >= SAY_AT_LEAST_EVERY

    def _drop_lapsed_reservations(self) -> None:
        now = workflow.now()
        kept = {n: a for n, a in self._state.allocations.items() if not _has_lapsed(a, now)}
        if len(kept) != len(self._state.allocations):
            self._state.allocations = kept
            self._touch()

    async def _publish(self) -> None:
        view = self._view()
        # Not a local activity: after one, a replay may see another `workflow.now()` than the first
        # execution did, and this workflow decides by the clock.
        await workflow.execute_activity_method(
            CellActivities.publish_cell,
            view,
            start_to_close_timeout=PUBLISH_TIMEOUT,
            retry_policy=PUBLISH_RETRY,
        )
        self._published_revision = view.revision

    async def _wait_for_change(self) -> None:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: (
                    self._state.revision != self._published_revision
                    or self._observation_is_due()
                    or self._should_roll_over()
                ),
                timeout=max(self._next_observation - workflow.now(), timedelta(0)),
            )

    def _should_roll_over(self) -> bool:
        # A run is pinned to the code it began on, so new code needs a new run.
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
        )

    def _touch(self) -> None:
        self._state.revision += 1
        self._state.said_at = workflow.now()


def _has_lapsed(allocation: Allocation, now: datetime) -> bool:
    return allocation.expires_at is not None and allocation.expires_at <= now
