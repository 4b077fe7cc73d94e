"""The life of one namespace."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError
from temporalio.workflow import ContinueAsNewVersioningBehavior

from provisioning import capacity, plan, requests, steps
from provisioning.failures import is_permanent, message_of
from provisioning.journal import Failure
from provisioning.ports import Incarnation
from provisioning.replicas import keeping
from provisioning.replicas import plan as replicas
from provisioning.rounds import run_round
from provisioning.types import (
    DecisionKind,
    NamespaceLife,
    NamespaceSpec,
    NamespaceState,
    OperationKind,
    OperationState,
    ReplicaProgress,
    Step,
    StepState,
)
from provisioning.updates import NamespaceUpdates

ROUNDS_UNTIL_GIVING_UP = 8
"""How often a creation comes round after a failed step before it is undone: about 2 minutes."""
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=30)
RESYNC_EVERY = timedelta(hours=1)

REPLACING = (
    OperationKind.UPDATE,
    OperationKind.RENAME,
    OperationKind.ADD_REGION,
    OperationKind.REMOVE_REGION,
)
"""Changes of the spec, which are taken back when they cannot be brought about. A revocation or a
limit never is."""
BROUGHT_ABOUT = (
    OperationKind.CREATE,
    *REPLACING,
    OperationKind.TAG,
    OperationKind.LIMIT,
    OperationKind.REVOKE,
    OperationKind.RESTORE,
)
"""Changes that are done once no step is due."""
STEP_BY_STEP = (*BROUGHT_ABOUT, OperationKind.INSPECT, OperationKind.DELETE)
"""Operations for which steps are taken."""


@workflow.defn
class NamespaceWorkflow(NamespaceUpdates):
    """Keeps one namespace as wanted for as long as it exists.

    Handlers only record what is wanted; `run` is the one place that acts on it. Creation, renewal,
    repair and deletion are the same loop over a pure plan.
    """

    @workflow.init
    def __init__(self, state: NamespaceState) -> None:
        super().__init__(state)
        self._published_revision = 0
        self._tried_generation = 0
        self._seen_generation = 0
        self._resync_is_due = False
        self._told: set[str] = set()
        self._shown_progress: ReplicaProgress | None = None

    @workflow.run
    async def run(self, _: NamespaceState) -> None:
        await workflow.wait_condition(lambda: self._state.spec is not None)
        while True:
            self._tried_generation = self._state.generation
            if self._is_unwanted():
                await self._dismantle()
            else:
                await self._bring_about()
            if self._state.life == NamespaceLife.DELETED:
                break
            await self._wait_for_change()
            if self._should_roll_over():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(
                    self._state,
                    initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
                )
        await workflow.wait_condition(workflow.all_handlers_finished)

    # Coming to be, and staying as wanted.

    async def _bring_about(self) -> None:
        """Take steps until the namespace is as wanted, or a step has to wait before a retry."""
        state = self._state
        is_blind = self._should_look() and not await self._look()
        while not self._is_unwanted():
            assert state.clock is not None, "a namespace begins with its creation"
            await self._attend_to_replicas()
            if replicas.is_switching(state) or self._is_unwanted():
                return
            self._tried_generation = state.generation
            due = plan.next_steps(self._wanted(), state.observed, state.clock)
            if not due:
                failures, has_news = await self._keep_replicas()
                if has_news:
                    continue
                if failures:
                    self._fail(failures)
                    return
                if state.life == NamespaceLife.ACTIVATING and state.replica_operations:
                    return
                await self._settle()
                await self._issue_certificates()
                if is_blind:
                    state.failed_rounds += 1
                return
            state.attempted.extend(
                step for step in due if step not in (*state.attempted, *plan.TRACELESS)
            )
            failures = await self._round(due, StepState.RUNNING, StepState.DONE, self._take)
            if replicas.next_failover(state) is not None:
                continue
            if failures and not self._is_unwanted():
                self._fail(failures)
                return
            self._state.failed_rounds = 0

    async def _attend_to_replicas(self) -> None:
        """Take note of what has become of the replicas; fail over at once where that is wanted."""
        state = self._state
        undone = keeping.take_note(state, self._journal)
        if undone is not None and state.life == NamespaceLife.ACTIVATING:
            self._give_up([Failure(Step.SELECT_CELL, undone.message, undone.is_permanent)])
            return
        await keeping.instruct(state, self._told)
        if (failover := replicas.next_failover(state)) is not None:
            await keeping.begin(state, self._journal, failover)
            await self._publish()

    async def _keep_replicas(self) -> tuple[list[Failure], bool]:
        """Look after the passive replicas, and begin what is to be done to all of them.

        Return what failed, and whether there is something new to be taken into account.
        """
        state = self._state
        before = state.passive
        failures = await keeping.look_after(state, self._wanted())
        if (change := replicas.next_change(state)) is not None:
            await keeping.begin(state, self._journal, change)
            await self._publish()
        elif state.change is None and not failures:
            state.replica_operations = []
        if state.passive != before:
            self._journal.touch()
        return failures, state.passive != before or bool(state.reports)

    def _fail(self, failures: Sequence[Failure]) -> None:
        """Say what failed; give up a creation, take back an update, that cannot succeed."""
        state, now = self._state, workflow.now()
        state.failed_rounds += 1
        self._journal.report_failure(failures, now)
        is_hopeless = any(failure.is_permanent for failure in failures)
        if state.life == NamespaceLife.ACTIVATING:
            if is_hopeless or state.failed_rounds >= ROUNDS_UNTIL_GIVING_UP:
                self._give_up(failures)
        # What came while the steps were taken was not tried yet: it may be what mends them.
        elif (
            is_hopeless
            and self._tried_generation == state.generation
            and (replacing := self._journal.open_operations(*REPLACING))
        ):
            self._take_back(replacing, failures)

    def _give_up(self, failures: Sequence[Failure]) -> None:
        """Want the namespace no longer: what was done so far is undone next."""
        self._state.failure = "; ".join(str(failure) for failure in failures)
        self._state.life = NamespaceLife.ACTIVATION_FAILED
        self._state.generation += 1
        self._journal.decide(DecisionKind.GAVE_UP, self._state.failure, workflow.now())

    def _take_back(self, operations: Sequence[str], failures: Sequence[Failure]) -> None:
        """Want again what was there before the changes: it is brought about next."""
        state, now = self._state, workflow.now()
        reason = "; ".join(str(failure) for failure in failures)
        self._journal.decide(DecisionKind.GAVE_UP, f"{reason}; returning to the spec before", now)
        self._journal.close(
            operations,
            OperationState.FAILED,
            now,
            f"{reason}. The namespace returns to the spec it had before: mend the cause, then "
            "change it again",
        )
        assert state.settled is not None, "what can be updated was active before"
        state.spec = state.settled
        state.renames = []
        state.life = NamespaceLife.UPDATE_FAILED
        state.generation += 1
        state.failed_rounds = 0

    async def _take(self, step: Step) -> None:
        state, before = self._state, self._state.observed
        if step == Step.SELECT_CELL:
            await capacity.select_cell(state, self._journal)
            return
        await steps.take(step, self._target(), self._wanted(), state)
        if step == Step.ISSUE_CERTIFICATE and before.certificate and state.observed.certificate:
            former, present = before.certificate, state.observed.certificate
            if former.fingerprint != present.fingerprint:
                self._journal.decide(
                    DecisionKind.CERTIFICATE_RENEWED,
                    f"good until {present.not_after:%Y-%m-%d}",
                    workflow.now(),
                    before=former.fingerprint,
                    after=present.fingerprint,
                )
        if step == Step.WRITE_DATABASE and before.database and state.observed.database:
            self._journal.decide(
                DecisionKind.CREDENTIAL_ROTATED,
                "the credential before stays valid until the next rotation",
                workflow.now(),
                before=before.database.login,
                after=state.observed.database.login,
            )

    async def _settle(self) -> None:
        """Everything is as wanted: say so, once."""
        state, now = self._state, workflow.now()
        confirmed = None
        if state.life == NamespaceLife.ACTIVATING:
            # Side by side with the publication: sent is enough, the engine delivers it.
            confirmed = asyncio.create_task(capacity.confirm(state, self._target()))
        state.life = NamespaceLife.ACTIVE
        state.settled = state.spec
        state.failed_rounds = 0
        brought_about = self._journal.open_operations(*BROUGHT_ABOUT, up_to=self._tried_generation)
        done = [
            *(
                operation
                for operation in brought_about
                if operation not in state.replica_operations
            ),
            *self._journal.open_operations(OperationKind.INSPECT, up_to=self._seen_generation),
        ]
        self._journal.close(done, OperationState.FULFILLED, now)
        assert state.clock is not None, "a namespace begins with its creation"
        self._journal.report_validity(plan.validity(state.observed, state.clock), now)
        self._journal.report_repaired(now)
        self._journal.report_ready(now)
        await self._publish()
        if confirmed is not None:
            await confirmed

    async def _issue_certificates(self) -> None:
        """Have the managed CA sign what it was asked to."""
        state = self._state
        while state.signing_requests and not self._is_unwanted():
            request = state.signing_requests[0]
            try:
                await steps.issue_client_certificate(self._target(), request)
            except FailureError as error:
                if not is_permanent(error):
                    state.failed_rounds += 1
                    return
                outcome, reason = OperationState.FAILED, message_of(error)
            else:
                outcome, reason = OperationState.FULFILLED, ""
            state.signing_requests = state.signing_requests[1:]
            self._journal.close([request.operation], outcome, workflow.now(), reason)
        await self._publish()

    def _should_look(self) -> bool:
        """Return whether a look at the world is due, or was asked for since the last one."""
        asked = self._journal.open_operations(OperationKind.INSPECT)
        seen = self._journal.open_operations(OperationKind.INSPECT, up_to=self._seen_generation)
        return (self._resync_is_due or asked != seen) and (
            self._state.life != NamespaceLife.ACTIVATING
        )

    async def _look(self) -> bool:
        """Look at the world and the clock again, and forget what is no longer true.

        Return False if somebody waits for this and there was nothing to be seen.
        """
        state, generation = self._state, self._state.generation
        self._resync_is_due = False
        try:
            observation = await steps.observe(self._target(), self._wanted())
        except ActivityError as error:
            self._journal.report_blindness(message_of(error), workflow.now())
            # What nobody waits for is looked at next time.
            return not self._journal.open_operations(OperationKind.INSPECT)
        self._seen_generation = generation
        state.clock = observation.at
        differences = plan.differences(state.observed, observation.seen)
        self._journal.report_inspection(differences, observation.at)
        state.observed = plan.still_true(state.observed, observation.seen)
        await keeping.ask(state)
        if state.passive and state.change is None:
            await self._look_at_replicas()
        return True

    async def _look_at_replicas(self) -> None:
        """Look at the passive replicas, unless there is something more urgent."""
        state = self._state
        # While something fails there is a look every half minute: not at every execution.
        thorough = not state.failed_rounds
        looking = asyncio.create_task(
            keeping.look(state, self._journal, self._wanted(), thorough=thorough)
        )
        await workflow.wait_condition(
            lambda: (
                looking.done() or self._is_unwanted() or replicas.next_failover(state) is not None
            )
        )
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking

    # Ceasing to be: deleted, or undone because creation failed.

    async def _dismantle(self) -> None:
        """Undo everything ever attempted, in reverse; what fails is tried again later."""
        state = self._state
        if state.deleting:
            state.life = NamespaceLife.DELETING
            state.signing_requests = []
            overtaken = self._journal.open_operations(*set(OperationKind) - {OperationKind.DELETE})
            self._journal.close(
                overtaken,
                OperationState.CANCELLED,
                workflow.now(),
                "the namespace is being deleted",
            )
        if not await self._dismantle_replicas():
            return
        while undos := plan.next_undos(state.attempted):
            failures = await self._round(undos, StepState.UNDOING, StepState.UNDONE, self._undo)
            failed = [failure.step for failure in failures]
            state.attempted = [s for s in state.attempted if s in failed or s not in undos]
            if failures:
                self._state.failed_rounds += 1
                self._journal.report_failure(failures, workflow.now())
                await self._publish()
                return
        if left := await self._leftovers():
            state.attempted = list(left)
            self._state.failed_rounds += 1
            return
        now = workflow.now()
        self._journal.close(
            self._journal.open_operations(OperationKind.CREATE),
            OperationState.FAILED,
            now,
            f"{state.failure}. Everything was undone: "
            "mend the cause, then create the namespace again",
        )
        self._journal.close(
            self._journal.open_operations(OperationKind.DELETE), OperationState.FULFILLED, now
        )
        state.life = NamespaceLife.DELETED
        self._journal.touch()
        await self._publish()

    async def _dismantle_replicas(self) -> bool:
        """Have what is being done to the replicas undone, and remove the passive ones.

        Return whether that is done.
        """
        state = self._state
        keeping.take_note(state, self._journal)
        state.wanted_changes, state.replica_operations = [], []
        if state.change is not None:
            state.change = replace(state.change, aborted=True)
            await keeping.instruct(state, self._told)
            await keeping.ask(state)
            return False
        if failures := await keeping.remove_all(state):
            state.failed_rounds += 1
            self._journal.report_failure(failures, workflow.now())
        return not failures

    async def _undo(self, step: Step) -> None:
        state = self._state
        if step == Step.SELECT_CELL:
            await capacity.release(state)
        elif state.observed.placement is not None:
            await steps.undo(step, self._target())

    async def _leftovers(self) -> tuple[Step, ...]:
        """Return what the world still holds although it was undone, or cannot be looked at."""
        if self._state.observed.placement is None:
            return ()
        try:
            return plan.leftovers((await steps.observe(self._target(), self._wanted())).seen)
        except ActivityError:
            return (Step.WRITE_DATABASE,)

    async def _round(
        self,
        due: Sequence[Step],
        during: StepState,
        after: StepState,
        action: Callable[[Step], Awaitable[None]],
    ) -> list[Failure]:
        """Run `action` on each step and return what failed; a deletion cuts the taking short."""
        is_quick = during == StepState.RUNNING and not steps.PATIENTLY_TAKEN.intersection(due)
        return await run_round(
            self._journal,
            self._journal.open_operations(*STEP_BY_STEP),
            due,
            (during, after),
            action,
            is_cut_short=lambda: (
                during == StepState.RUNNING
                and (self._is_unwanted() or replicas.next_failover(self._state) is not None)
            ),
            show_progress=None if is_quick else self._publish,
        )

    # Waiting and rolling over.

    async def _wait_for_change(self) -> None:
        """Wait for a new wish, a step that is due, a retry or a reason to roll over."""
        if self._state.revision != self._published_revision:
            await self._publish()
        until = workflow.now() + self._pause()
        while not (self._has_news() or self._should_roll_over()):
            try:
                await workflow.wait_condition(
                    lambda: self._has_news() or self._should_roll_over() or self._has_moved(),
                    timeout=max(until - workflow.now(), FIRST_PAUSE),
                )
            except TimeoutError:
                self._resync_is_due = True
                return
            if self._has_moved():
                await self._publish()

    def _pause(self) -> timedelta:
        """Return how long to wait for news; never nothing, so that waiting is always a timer."""
        if self._state.failed_rounds:
            doublings = min(self._state.failed_rounds - 1, 10)
            return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
        due, clock = plan.next_due(self._state.observed), self._state.clock
        if due is None or clock is None:
            return RESYNC_EVERY
        return max(min(due - clock, RESYNC_EVERY), FIRST_PAUSE)

    def _has_news(self) -> bool:
        return self._state.generation != self._tried_generation or bool(self._state.reports)

    def _has_moved(self) -> bool:
        """Return whether a change of the replicas is further than others can read."""
        change = self._state.change
        return change is not None and change.progress != self._shown_progress

    def _should_roll_over(self) -> bool:
        # A run is pinned to the code it began on, so new code needs a new run.
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
        )

    # The state and its publication.

    def _is_unwanted(self) -> bool:
        return requests.is_unwanted(self._state)

    def _wanted(self) -> plan.Wanted:
        return plan.Wanted(self._spec(), self._state.policy, tuple(self._state.renames))

    def _spec(self) -> NamespaceSpec:
        assert self._state.spec is not None, "a namespace begins with its creation"
        return self._state.spec

    def _target(self) -> Incarnation:
        placement = self._state.observed.placement
        assert placement is not None, "steps in a cell come after the cell is selected"
        assert placement.cell is not None, "a placement is kept only once it has a cell"
        state = self._state
        return Incarnation(state.id, state.uid, placement.cell, state.active_number)

    async def _publish(self) -> None:
        view = self.view()
        if view.revision != self._published_revision:
            await steps.publish(view)
            self._published_revision = view.revision
            self._shown_progress = None if view.change is None else view.change.progress
            self._journal.forget_published(view)
