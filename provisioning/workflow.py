"""The life of one namespace."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.workflow import ContinueAsNewVersioningBehavior

from cells.placement import explain_refusal, without
from cells.types import Release, Reserve
from cells.workflow import CellWorkflow
from controlplane.errors import ErrorType, no_capacity, not_found
from controlplane.ids import cell_workflow_id
from provisioning import journal, plan, requests, steps
from provisioning.journal import Failure, Journal
from provisioning.ports import Incarnation
from provisioning.types import (
    DEMAND,
    CreateNamespace,
    DecisionKind,
    DeleteNamespace,
    InspectNamespace,
    IssueClientCertificate,
    NamespaceLife,
    NamespaceSpec,
    NamespaceState,
    NamespaceView,
    OperationKind,
    OperationState,
    RenameSearchAttribute,
    RevokeCertificate,
    SetRequestLimit,
    Step,
    StepState,
    UpdateNamespace,
    UpdateTags,
)

ROUNDS_UNTIL_GIVING_UP = 8
"""How often a creation comes round after a failed step before it is undone: about 2 minutes."""
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=30)
PROGRESS_AFTER = timedelta(milliseconds=500)
"""How long steps may take before how far they are is published."""
RESYNC_EVERY = timedelta(hours=1)

REPLACING = (OperationKind.UPDATE, OperationKind.RENAME)
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
class NamespaceWorkflow:
    """Keeps one namespace as wanted for as long as it exists.

    Handlers only record what is wanted; `run` is the one place that acts on it. Creation, renewal,
    repair and deletion are the same loop over a pure plan.
    """

    @workflow.init
    def __init__(self, state: NamespaceState) -> None:
        self._state = state
        self._journal = Journal(state)
        self._published_revision = 0
        self._tried_generation = 0
        self._seen_generation = 0
        self._resync_is_due = False

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

    # What it can be asked: `provisioning.requests` says what it agrees to.

    @workflow.update
    def create(self, request: CreateNamespace) -> NamespaceView:
        """Record that the namespace is wanted. The same operation again changes nothing."""
        if not self._journal.knows(request.operation):
            uid = str(workflow.uuid4())
            requests.record_create(self._state, request, uid, workflow.now())
        return self.describe()

    @create.validator
    def _check_create(self, request: CreateNamespace) -> None:
        requests.check_create(self._state, request)

    @workflow.update
    def update(self, request: UpdateNamespace) -> NamespaceView:
        """Record that another spec is wanted."""
        return self._changed(request)

    @update.validator
    def _check_update(self, request: UpdateNamespace) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def rename_search_attribute(self, request: RenameSearchAttribute) -> NamespaceView:
        """Record that a search attribute is to be called otherwise."""
        return self._changed(request)

    @rename_search_attribute.validator
    def _check_rename(self, request: RenameSearchAttribute) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def tag(self, request: UpdateTags) -> NamespaceView:
        """Record other tags."""
        return self._changed(request)

    @tag.validator
    def _check_tag(self, request: UpdateTags) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def set_request_limit(self, request: SetRequestLimit) -> NamespaceView:
        """Record how many requests a second the ingress is to let through."""
        return self._changed(request)

    @set_request_limit.validator
    def _check_request_limit(self, request: SetRequestLimit) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def revoke(self, request: RevokeCertificate) -> NamespaceView:
        """Record that a client certificate is refused from now on, or no longer."""
        return self._changed(request)

    @revoke.validator
    def _check_revoke(self, request: RevokeCertificate) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def issue(self, request: IssueClientCertificate) -> NamespaceView:
        """Record that the managed CA is to sign a client's certificate."""
        return self._changed(request)

    @issue.validator
    def _check_issue(self, request: IssueClientCertificate) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def inspect(self, request: InspectNamespace) -> NamespaceView:
        """Record that somebody wants the world looked at now."""
        return self._changed(request)

    @inspect.validator
    def _check_inspect(self, request: InspectNamespace) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def delete(self, request: DeleteNamespace) -> NamespaceView:
        """Record that the namespace is no longer wanted."""
        requests.record_delete(self._state, request, workflow.now())
        return self.describe()

    @delete.validator
    def _check_delete(self, request: DeleteNamespace) -> None:
        requests.check_delete(self._state, request)

    def _changed(self, request: requests.Change) -> NamespaceView:
        requests.record_change(self._state, request, workflow.now())
        return self.describe()

    @workflow.query
    def describe(self) -> NamespaceView:
        state = self._state
        if state.spec is None or state.created_at is None:
            raise not_found(f"namespace {state.id} not found")
        return self._journal.view(state.spec, state.created_at)

    # Coming to be, and staying as wanted.

    async def _bring_about(self) -> None:
        """Take steps until the namespace is as wanted, or a step has to wait before a retry."""
        state = self._state
        is_blind = self._should_look() and not await self._look()
        while not self._is_unwanted():
            assert state.clock is not None, "a namespace begins with its creation"
            self._tried_generation = state.generation
            due = plan.next_steps(self._wanted(), state.observed, state.clock)
            if not due:
                await self._settle()
                await self._issue_certificates()
                if is_blind:
                    state.failed_rounds += 1
                return
            state.attempted.extend(
                step for step in due if step not in (*state.attempted, *plan.TRACELESS)
            )
            failures = await self._round(due, StepState.RUNNING, StepState.DONE, self._take)
            if failures and not self._is_unwanted():
                self._fail(failures)
                return
            self._state.failed_rounds = 0

    def _fail(self, failures: Sequence[Failure]) -> None:
        """Say what failed; give up a creation, take back an update, that cannot succeed."""
        state, now = self._state, workflow.now()
        state.failed_rounds += 1
        self._journal.report_failure(failures, now)
        is_permanent = any(failure.is_permanent for failure in failures)
        if state.life == NamespaceLife.ACTIVATING:
            if is_permanent or state.failed_rounds >= ROUNDS_UNTIL_GIVING_UP:
                self._give_up(failures)
        elif is_permanent and (replacing := self._journal.open_operations(*REPLACING)):
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
            await self._select_cell(self._spec())
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

    async def _select_cell(self, spec: NamespaceSpec) -> None:
        """Hold capacity in the best cell that still has it."""
        state = self._state
        placement = await steps.choose_cell(spec.region)
        while placement.cell is not None:
            if placement.cell not in state.asked_cells:
                state.asked_cells.append(placement.cell)
            try:
                target = Incarnation(state.id, state.uid, placement.cell)
                await steps.reserve_cell(target)
            except FailureError as error:
                cause = _cause(error)
                if not (
                    isinstance(cause, ApplicationError) and cause.type == ErrorType.NO_CAPACITY
                ):
                    raise
                placement = without(placement, placement.cell, cause.message)
            else:
                state.observed = replace(state.observed, placement=placement)
                self._journal.decide(
                    DecisionKind.PLACED,
                    f"of {len(placement.verdicts)} cells",
                    workflow.now(),
                    operation=self._journal.open_operations(OperationKind.CREATE)[0],
                    after=target.cell,
                )
                return
        raise no_capacity(explain_refusal(placement))

    async def _settle(self) -> None:
        """Everything is as wanted: say so, once."""
        state, now = self._state, workflow.now()
        confirmed = None
        if state.life == NamespaceLife.ACTIVATING:
            # Side by side with the publication: sent is enough, the engine delivers it.
            confirmed = asyncio.create_task(self._confirm_cell())
        state.life = NamespaceLife.ACTIVE
        state.settled = state.spec
        state.failed_rounds = 0
        done = [
            *self._journal.open_operations(*BROUGHT_ABOUT, up_to=self._tried_generation),
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
                if not _is_permanent(error):
                    state.failed_rounds += 1
                    return
                outcome, reason = OperationState.FAILED, _message(error)
            else:
                outcome, reason = OperationState.FULFILLED, ""
            state.signing_requests = state.signing_requests[1:]
            self._journal.close([request.operation], outcome, workflow.now(), reason)
        await self._publish()

    async def _confirm_cell(self) -> None:
        """Keep the capacity held in the cell chosen, and none in cells asked before it."""
        state, target = self._state, self._target()
        await _signal_cell(target.cell, CellWorkflow.confirm, Reserve(state.id, state.uid, DEMAND))
        await self._release_cells(cell for cell in state.asked_cells if cell != target.cell)
        state.asked_cells = [target.cell]

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
            self._journal.report_blindness(_message(error), workflow.now())
            # What nobody waits for is looked at next time.
            return not self._journal.open_operations(OperationKind.INSPECT)
        self._seen_generation = generation
        state.clock = observation.at
        differences = plan.differences(state.observed, observation.seen)
        self._journal.report_inspection(differences, observation.at)
        state.observed = plan.still_true(state.observed, observation.seen)
        return True

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

    async def _undo(self, step: Step) -> None:
        state = self._state
        if step == Step.SELECT_CELL:
            await self._release_cells(state.asked_cells)
            state.asked_cells = []
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

    async def _release_cells(self, cells: Iterable[str]) -> None:
        for cell in cells:
            release = Release(self._state.id, self._state.uid)
            await _signal_cell(cell, CellWorkflow.release, release)

    # One round of steps, taken or undone side by side.

    async def _round(
        self,
        due: Sequence[Step],
        during: StepState,
        after: StepState,
        action: Callable[[Step], Awaitable[None]],
    ) -> list[Failure]:
        """Run `action` on each step and return what failed; a deletion cuts the taking short."""
        operations = self._journal.open_operations(*STEP_BY_STEP)
        for step in due:
            self._journal.note(
                operations, partial(journal.began, step=step, state=during, now=workflow.now())
            )
        self._journal.touch()
        attempts = [
            asyncio.create_task(self._attempt(operations, step, after, action)) for step in due
        ]

        def is_over() -> bool:
            return all(attempt.done() for attempt in attempts) or (
                during == StepState.RUNNING and self._is_unwanted()
            )

        try:
            await workflow.wait_condition(is_over, timeout=PROGRESS_AFTER)
        except TimeoutError:
            # Only now is there somebody who wonders: a publication a step would be half the work.
            publication = asyncio.create_task(self._publish())
            await workflow.wait_condition(is_over)
            await publication
        for attempt in attempts:
            attempt.cancel()
        failures = await asyncio.gather(*attempts)
        self._journal.touch()
        return [failure for failure in failures if failure is not None]

    async def _attempt(
        self,
        operations: Sequence[str],
        step: Step,
        after: StepState,
        action: Callable[[Step], Awaitable[None]],
    ) -> Failure | None:
        state, failure = after, None
        try:
            await action(step)
        except FailureError as error:
            failure = Failure(step, _message(error), _is_permanent(error))
            state = StepState.FAILED
        except asyncio.CancelledError:
            failure = Failure(step, "cut short", is_permanent=False)
            state = StepState.FAILED
        message = "" if failure is None else failure.message
        self._journal.note(
            operations,
            partial(journal.ended, step=step, state=state, now=workflow.now(), message=message),
        )
        return failure

    # Waiting and rolling over.

    async def _wait_for_change(self) -> None:
        """Wait for a new wish, a step that is due, a retry or a reason to roll over."""
        if self._state.revision != self._published_revision:
            await self._publish()
        try:
            await workflow.wait_condition(
                lambda: self._has_news() or self._should_roll_over(), timeout=self._pause()
            )
        except TimeoutError:
            self._resync_is_due = True

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
        return self._state.generation != self._tried_generation

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
        return Incarnation(self._state.id, self._state.uid, placement.cell)

    async def _publish(self) -> None:
        view = self.describe()
        if view.revision != self._published_revision:
            await steps.publish(view)
            self._published_revision = view.revision
            self._journal.forget_published(view)


Request = TypeVar("Request")


async def _signal_cell(
    cell: str, signal: Callable[[CellWorkflow, Request], None], request: Request
) -> None:
    handle = workflow.get_external_workflow_handle_for(CellWorkflow.run, cell_workflow_id(cell))
    # A cell that is gone holds nothing.
    with contextlib.suppress(ApplicationError):
        await handle.signal(signal, request)


def _cause(error: FailureError) -> BaseException:
    """Return what went wrong: an activity's failure arrives wrapped, a local activity's bare."""
    return error.cause or error if isinstance(error, ActivityError) else error


def _is_permanent(error: FailureError) -> bool:
    cause = _cause(error)
    return isinstance(cause, ApplicationError) and cause.non_retryable


def _message(error: FailureError) -> str:
    match _cause(error):
        case ApplicationError() as cause:
            return cause.message
        case TemporalTimeoutError():
            return "no worker finished it in time"
        case cause:
            return str(cause)
