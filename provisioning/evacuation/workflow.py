"""The life of one evacuation: a durable loop around a pure planner."""

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.workflow import ContinueAsNewVersioningBehavior

from cells.ledger.types import GiveBack
from controlplane.errors import already_exists, failed_precondition
from provisioning.evacuation import controls, leases, moves, outcomes, steps
from provisioning.evacuation import plan as planner
from provisioning.evacuation.activities import (
    CordonFor,
    LeaseAsked,
)
from provisioning.evacuation.carrying import Carrier, reason_of
from provisioning.evacuation.facts import Survey
from provisioning.evacuation.journal import note
from provisioning.evacuation.leases import Hindrance
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.seen import take_in, unfinished
from provisioning.evacuation.surveyor import looking_for
from provisioning.evacuation.turns import LOOK_AGAIN, LOOK_SOON
from provisioning.evacuation.types import (
    Control,
    EvacuationState,
    EvacuationView,
    Phase,
    Plan,
    StartEvacuation,
    WaitCode,
)
from provisioning.evacuation.view import view
from provisioning.failures import message_of

FRESH = timedelta(seconds=15)
"""Nothing begins on an older look at the fleet than this."""
TRY_AGAIN_AFTER = timedelta(seconds=10)
"""When the world did not answer."""
PUBLISH_EVERY = timedelta(seconds=1)
"""At most, while namespaces move one after another; each phase is told at once."""


@workflow.defn
class EvacuationWorkflow:
    """Empties one cell.

    Handlers only record; `run` looks at the fleet, plans, and has namespaces moved (`carrying`).
    """

    @workflow.init
    def __init__(self, state: EvacuationState) -> None:
        self._state = state
        self._survey: Survey | None = None
        self._plan = Plan()
        self._news = 0
        """Rises with everything that is told from outside."""
        self._carrier = Carrier(state, self._heard)
        self._published_revision = 0
        self._published_phase = Phase.BEGINNING
        self._published_at = workflow.now()
        self._shown: tuple[object, ...] = ()

    @workflow.run
    async def run(self, _: EvacuationState) -> None:
        while not self._has_ended:
            if self._should_roll_over():
                await self._carrier.put_down()
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(
                    self._state,
                    initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
                )
            heard = self._news
            await self._go_on()
            if not self._has_ended:
                await self._publish_if_due()
                await self._wait(heard)
        await self._leave()
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update
    def begin(self, request: StartEvacuation) -> EvacuationView:  # noqa: ARG002 - its validator's
        """Return the evacuation as it is: asked for again, it is not begun again."""
        return self._view()

    @begin.validator
    def _check_begin(self, request: StartEvacuation) -> None:
        state = self._state
        if request.id != state.id:
            raise already_exists(
                f"{state.cell} is being emptied by evacuation {state.id} ({state.kind.value}, "
                f"{state.phase.value}): wait until that has ended, or abort it"
            )
        asked = (request.kind, request.policy, request.source_lost)
        if asked != (state.kind, state.policy, state.source_lost):
            raise already_exists(
                f"evacuation {state.id} is under way by other rules: choose another id"
            )

    @workflow.update
    def describe(self) -> EvacuationView:
        return self._view()

    @workflow.update
    def control(self, request: Control) -> EvacuationView:
        """Record what a person wants; asked for again, it is done once."""
        controls.take(self._state, request, workflow.now())
        self._heard()
        return self._view()

    @control.validator
    def _check_control(self, request: Control) -> None:
        if refused := controls.refusal(self._state, request):
            raise failed_precondition(refused)

    async def _go_on(self) -> None:
        """Look, plan, and do what the plan says."""
        state = self._state
        if self._survey is None and await self._look() is None:
            self._carrier.carry_on(())
            return
        await self._take_cordon()
        await self._take_lease()
        plan = self._planned()
        if self._is_out_of_date(plan):
            if await self._look() is None:
                self._carrier.carry_on(())
                return
            await self._take_lease()
            plan = self._planned()
        self._plan = plan
        outcomes.apply(state, plan, workflow.now())
        for start in plan.starts:
            moves.began(state, start, workflow.now())
        if self._has_ended:
            self._touch()
            return
        self._carrier.carry_on(plan.tell)
        self._notice()

    def _planned(self) -> Plan:
        assert self._survey is not None, "nothing is planned unseen"
        take_in(self._state, self._survey, workflow.now())
        return planner.plan(self._state, self._survey, workflow.now())

    async def _look(self) -> Survey | None:
        """Return the fleet as it is now; None when it cannot be seen."""
        state = self._state
        looking = looking_for(state.cell, state.kind, state.policy, unfinished(state))
        try:
            self._survey = await steps.survey(looking)
        except ActivityError as error:
            why = f"the fleet cannot be seen: {message_of(error)}"
            if state.blocked != why:
                state.blocked = why
                note(state, "blocked", why, workflow.now())
                self._touch()
            self._plan = Plan(blocked=why)
            self._survey = None
        return self._survey

    async def _take_cordon(self) -> None:
        """Let nothing more be placed in the cell before anything leaves it."""
        state, survey = self._state, self._survey
        known = survey is not None and any(cell.id == state.cell for cell in survey.cells)
        if state.cordoned is not None or not known or state.phase is not Phase.BEGINNING:
            return
        try:
            ours = await steps.cordon(self._cordon())
        except ActivityError as error:
            outcomes.not_cordoned(state, message_of(error), workflow.now())
        else:
            outcomes.cordoned(state, ours=ours, now=workflow.now())
        self._touch()

    async def _take_lease(self) -> None:
        """Have the cell to ourselves, and the replicas of what is moved left alone."""
        state, survey = self._state, self._survey
        if survey is None or state.cordoned is None or state.phase is Phase.STOPPING:
            return
        take_in(state, survey, workflow.now())
        lease = leases.wanted(state, survey)
        if not leases.is_due(state, lease, workflow.now()):
            return
        replicas = {each.id: each.cells for each in survey.namespaces}
        named = {name: replicas[name] for name in lease.namespaces}
        state.lease_asked = True
        before = (state.lease, state.leased, state.lease_conflicts, state.lease_refused)
        try:
            taken = await steps.take_lease(LeaseAsked(lease, named))
        except ActivityError as error:
            hindrance = Hindrance({}, cell=f"the ledger does not answer: {message_of(error)}")
            outcomes.lease_answered(state, state.lease, (), hindrance, workflow.now())
        else:
            hindrance = Hindrance(taken.hindered, taken.refused)
            outcomes.lease_answered(
                state, taken.number, taken.namespaces, hindrance, workflow.now()
            )
        after = (state.lease, state.leased, state.lease_conflicts, state.lease_refused)
        if after != before:
            self._touch()

    async def _leave(self) -> None:
        """Give back what others wait for; a cell that was emptied stays cordoned."""
        await self._carrier.put_down()
        state = self._state
        if state.lease_asked:
            request = GiveBack(state.cell, workflow.info().workflow_id, state.lease)
            await steps.give_back_lease(request)
            state.lease, state.leased = 0, []
        keeps = state.stop is None and state.kind is not EvacuationKind.DRILL
        if not keeps and state.cordoned is not False:
            await self._uncordon()
        self._touch()
        # Patiently, in one activity: there is no next turn, and no next run.
        await self._publish(steps.KEEP_TRYING)

    async def _uncordon(self) -> None:
        state = self._state
        try:
            if await steps.uncordon(self._cordon()):
                note(state, "uncordoned", "", workflow.now())
            state.cordoned = False
        except ActivityError as error:
            why = f"{message_of(error)}: uncordon {state.cell} by hand"
            note(state, "not uncordoned", why, workflow.now())

    async def _publish_if_due(self) -> None:
        is_new_phase = self._state.phase is not self._published_phase
        if is_new_phase or workflow.now() - self._published_at >= PUBLISH_EVERY:
            await self._publish(steps.ASK_AGAIN)

    async def _publish(self, retry: RetryPolicy) -> None:
        shown = self._view()
        if shown.revision == self._published_revision:
            return
        with contextlib.suppress(ActivityError):
            await steps.publish(shown, retry)
            self._published_revision, self._published_phase = shown.revision, shown.phase
            self._published_at = workflow.now()
            self._state.events_published = shown.events_made

    async def _wait(self, heard: int) -> None:
        """Return when something was told, or it is time to look, to ask or to publish again."""
        state, plan, now = self._state, self._plan, workflow.now()
        if plan.phase is not None or plan.marks or plan.stop:
            return  # What was planned with is not so any more.
        times = [now + LOOK_AGAIN]
        if plan.wake_at is not None:
            times.append(plan.wake_at)
        if self._survey is None or not state.lease:
            times.append(now + TRY_AGAIN_AFTER)
        elif state.lease_conflicts and state.lease_asked_at is not None:
            times.append(state.lease_asked_at + planner.ASK_LEDGER_AGAIN)
        if state.revision != self._published_revision:
            times.append(max(self._published_at, now - PUBLISH_EVERY) + PUBLISH_EVERY)
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._news != heard or self._should_roll_over(),
                timeout=max(min(times) - now, timedelta(milliseconds=100)),
            )

    def _is_out_of_date(self, plan: Plan) -> bool:
        """Whether this look is too old to act on, or another may show what the plan waits for."""
        assert self._survey is not None, "it was planned on"
        age = workflow.now() - self._survey.seen_at
        if any(wait.code is WaitCode.UNSEEN for wait in plan.waits):
            return age >= LOOK_SOON
        acts = plan.starts or plan.marks or plan.phase is not None or plan.stop
        return age >= (FRESH if acts else LOOK_AGAIN)

    def _notice(self) -> None:
        """Take note of what is worth publishing."""
        state, plan = self._state, self._plan
        shown = (
            state.phase,
            state.events_made,
            state.blocked,
            [(wait.namespace, wait.code) for wait in plan.waits],
            [(name, each.status) for name, each in sorted(state.namespaces.items())],
        )
        if shown != self._shown:
            self._shown = shown
            self._touch()

    def _view(self) -> EvacuationView:
        return view(self._state, workflow.now())

    def _cordon(self) -> CordonFor:
        return CordonFor(self._state.cell, self._state.id, reason_of(self._state))

    @property
    def _has_ended(self) -> bool:
        return self._state.phase is Phase.ENDED

    def _heard(self) -> None:
        self._news += 1
        self._touch()

    def _touch(self) -> None:
        self._state.revision += 1

    def _should_roll_over(self) -> bool:
        # A run is pinned to the code it began on, so new code needs a new run.
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
        )
