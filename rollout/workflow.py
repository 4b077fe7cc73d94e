"""The life of one rollout: a durable loop around a pure planner."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.workflow import ContinueAsNewVersioningBehavior, ParentClosePolicy

from cells.ledger.types import Acquire, Answer, Cap, GiveBack, Purpose
from cells.release import Release, Software
from cells.visits.types import Before, VisitOutcome, VisitReport, VisitRequest
from cells.visits.workflow import CellVisitWorkflow
from controlplane.errors import already_exists, failed_precondition
from controlplane.ids import visit_workflow_id
from controlplane.queues import cells_queue
from rollout import plan as planner
from rollout.activities import RolloutActivities, Superseding
from rollout.planning import controls, lane, watching
from rollout.policy import Supersession, ring_policy
from rollout.types import (
    CellFacts,
    CellStatus,
    Control,
    ControlKind,
    Fleet,
    Outcome,
    Phase,
    Plan,
    RolloutState,
    RolloutView,
    Start,
    StartRollout,
)

FRESH = timedelta(seconds=30)
"""Nothing starts on an older look at the fleet than this."""
LOOK_AT_LEAST_EVERY = timedelta(hours=1)
TRY_AGAIN_AFTER = timedelta(seconds=30)
"""When the world did not answer, or somebody else's turn was not over."""
STARTS_AT_ONCE = 100
"""In one turn, so that a turn's history stays short; the others come with the next."""

_STEPS = 50
_LOOK_TIMEOUT = timedelta(minutes=1)
_EVIDENCE_TIMEOUT = timedelta(minutes=5)
_LEDGER_TIMEOUT = timedelta(seconds=20)
_ASK_AGAIN = RetryPolicy(maximum_attempts=3, maximum_interval=timedelta(seconds=5))
_KEEP_TRYING = RetryPolicy(maximum_interval=timedelta(seconds=30))


@workflow.defn
class RolloutWorkflow:
    """Carries one release through the rings.

    Handlers only record; `run` looks at the fleet, plans, and starts visits. What is legal is the
    planner's to say. Visits outlive a run of this workflow: they report by a signal.
    """

    @workflow.init
    def __init__(self, state: RolloutState) -> None:
        self._state = state
        lane.declare(state, workflow.now())
        self._fleet: Fleet | None = None
        self._looks_anew = False
        self._unseen = ""
        """Why the latest look showed nothing; empty when it did."""
        self._plan = Plan()
        self._news = 0
        """Rises with everything that is told from outside."""
        self._published_revision = 0
        self._settled: tuple[int, datetime] | None = None
        """Revision and look of the last plan: while both are the same, it stands."""
        self._told: tuple[object, ...] = ()

    @workflow.run
    async def run(self, _: RolloutState) -> None:
        while not self._has_ended:
            if self._should_roll_over():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(
                    self._state,
                    initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
                )
            heard = self._news
            await self._take_in_reports()
            if self._state.holds_components or await self._enter():
                await self._go_on()
            await self._publish()
            if not self._has_ended:
                await self._wait(heard)
        await self._leave()
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update
    def begin(self, request: StartRollout) -> RolloutView:  # noqa: ARG002 - its validator reads it
        """Return the rollout as it is: asked for again, it is not begun again."""
        return self._view()

    @begin.validator
    def _check_begin(self, request: StartRollout) -> None:
        state = self._state
        asked = (request.release.digest, request.policy, request.lane)
        if asked != (state.release.digest, state.policy, lane.was_asked_for(state)):
            raise already_exists(
                f"rollout {state.id} carries release {state.release.name} by other rules: choose "
                "another id"
            )

    @workflow.update
    def describe(self) -> RolloutView:
        return self._view()

    @workflow.update
    def control(self, request: Control) -> RolloutView:
        """Record what a person wants; asked for again, it is done once."""
        controls.take(self._state, request, workflow.now())
        # Whoever tries again has changed something in the world, such as a quarantine.
        self._looks_anew |= request.kind is ControlKind.RETRY
        self._heard()
        return self._view()

    @control.validator
    def _check_control(self, request: Control) -> None:
        state = self._state
        now, fleet = workflow.now(), self._fleet
        if refused := controls.refusal(state, request, state.plan_hash, now, fleet):
            raise failed_precondition(refused)

    @workflow.signal
    def visit_ended(self, report: VisitReport) -> None:
        self._state.reports.append(report)
        self._heard()

    async def _enter(self) -> bool:
        """Become the one rollout that writes these components, or say why not yet."""
        state = self._state
        if state.phase is not Phase.QUEUED:
            # A person ended it before its turn came.
            return True
        for component in state.release.components:
            place = f"component/{component.value}"
            wanted = Acquire(place, self._id, Purpose.ROLLOUT)
            answer = await self._acquire(wanted, _KEEP_TRYING)
            if not answer.granted:
                await self._stand_behind(component.value, answer.conflicts[0].holder)
                return False
        state.holds_components = True
        state.phase = Phase.FORWARD
        planner.note(state, "started", f"release {state.release.name}", workflow.now())
        self._touch()
        return True

    async def _stand_behind(self, component: str, other: str) -> None:
        state, now = self._state, workflow.now()
        message = f"{other} writes the {component} of the cells"
        if message != state.message:
            state.message = message
            planner.note(state, "queued", message, now)
            self._touch()
        match state.policy.supersession:
            case Supersession.QUEUE:
                pass
            case Supersession.SUPERSEDE:
                await workflow.execute_activity_method(
                    RolloutActivities.supersede_rollout,
                    Superseding(other, by=self._id),
                    start_to_close_timeout=_LEDGER_TIMEOUT,
                    retry_policy=_KEEP_TRYING,
                )
            case Supersession.REJECT:
                state.phase, state.outcome, state.ended_at = Phase.ENDED, Outcome.ABORTED, now
                planner.note(state, "rejected", message, now)
                self._touch()

    async def _go_on(self) -> None:
        """Look, plan, and do what the plan says."""
        state = self._state
        if self._looks_anew:
            self._fleet, self._looks_anew = None, False
        fleet = self._fleet or await self._look()
        if fleet is None:
            return
        lane.keep_up(state, workflow.now())
        # Mostly nothing has happened but that evidence is due, which the last plan knows as well.
        stands = self._settled == (state.revision, fleet.seen_at)
        watched = stands and await self._watch(self._plan, fleet)
        plan = planner.plan(state, fleet, workflow.now())
        if not watched and await self._watch(plan, fleet):
            plan = planner.plan(state, fleet, workflow.now())
        if _is_out_of_date(fleet, plan, workflow.now()):
            seen = await self._look()
            if seen is not None:
                fleet = seen
                plan = planner.plan(state, fleet, workflow.now())
            elif state.phase is Phase.FORWARD:
                plan = _without_steps(plan, self._unseen)
        self._plan = plan
        planner.apply(state, plan, fleet, workflow.now())
        if (news := _news(state, plan)) != self._told:
            self._told = news
            self._touch()
        self._settled = (state.revision, fleet.seen_at)
        await self._start_visits(plan, fleet)

    async def _look(self) -> Fleet | None:
        """Return the fleet as it is now; None when it cannot be seen."""
        try:
            self._fleet = await workflow.execute_activity_method(
                RolloutActivities.take_inventory,
                start_to_close_timeout=_LOOK_TIMEOUT,
                retry_policy=_ASK_AGAIN,
            )
        except ActivityError as error:
            state, self._unseen = self._state, f"the fleet cannot be seen: {error.cause}"
            if self._fleet is None and state.blocked != self._unseen:
                self._plan = _without_steps(self._plan, self._unseen)
                state.blocked = self._unseen
                planner.note(state, "blocked", self._unseen, workflow.now())
                self._touch()
            return None
        self._unseen = ""
        return self._fleet

    async def _watch(self, plan: Plan, fleet: Fleet) -> bool:
        """Gather the evidence that is due, and credit it; tell whether there was any."""
        due = watching.due(self._state, plan, fleet, workflow.now())
        for watch in due:
            evidence = await workflow.execute_activity_method(
                RolloutActivities.gather_evidence,
                watch.cells,
                start_to_close_timeout=_EVIDENCE_TIMEOUT,
                retry_policy=_KEEP_TRYING,
            )
            watching.credit(self._state, watch, evidence, workflow.now())
        return bool(due)

    async def _start_visits(self, plan: Plan, fleet: Fleet) -> None:
        heard = self._news
        cells = {cell.id: cell for cell in fleet.cells}
        await asyncio.gather(
            *(
                self._start_visit(start, cells[start.cell], fleet, heard)
                for start in plan.starts[:STARTS_AT_ONCE]
            )
        )

    async def _start_visit(self, start: Start, cell: CellFacts, fleet: Fleet, heard: int) -> None:
        state = self._state
        try:
            answer = await self._acquire(self._lease(cell, fleet), _ASK_AGAIN)
        except ActivityError as error:
            planner.lease_unanswered(state, cell.id, str(error.cause), workflow.now())
            return
        if not answer.granted:
            planner.lease_refused(state, cell.id, answer.conflicts, workflow.now())
            return
        if self._news != heard:
            # A pause, say, or a failure: what was legal may be so no more. It is planned anew.
            await self._give_back(cell.id)
            return
        progress = state.cells[cell.id]
        visit = f"{state.id}/{cell.id}/{progress.visits + 1}"
        planner.started(state, start, visit, workflow.now())
        self._touch()
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                CellVisitWorkflow.run,
                self._request(start, cell, visit),
                id=visit_workflow_id(visit),
                task_queue=cells_queue(cell.region),
                parent_close_policy=ParentClosePolicy.ABANDON,
            )

    def _lease(self, cell: CellFacts, fleet: Fleet) -> Acquire:
        ring = ring_policy(self._state.policy, self._state.cells[cell.id].ring)
        region, provider = f"region/{cell.region}", f"provider/{cell.provider}"
        caps = ((region, ring.most_per_region), (provider, ring.most_per_provider))
        return Acquire(
            cell=cell.id,
            holder=self._id,
            purpose=Purpose.ROLLOUT,
            namespaces=tuple(
                each.namespace for each in fleet.replicas if cell.id in (each.active, *each.passive)
            ),
            scopes=(region, provider),
            caps=tuple(Cap(scope, most) for scope, most in caps if most),
            components=tuple(component.value for component in self._state.release.components),
        )

    def _request(self, start: Start, cell: CellFacts, visit: str) -> VisitRequest:
        state, before = self._state, None
        release = state.release
        if start.back:
            had = state.cells[cell.id]
            software = had.before_software or Software(had.before)
            before = Before(software, had.before_release)
            release = Release(f"before-{release.name}", **vars(software))
        return VisitRequest(
            id=visit,
            cell=cell.id,
            region=cell.region,
            release=release,
            hops=start.hops,
            rules=state.policy.visit,
            report_to=self._id,
            back_to=before,
        )

    async def _take_in_reports(self) -> None:
        state = self._state
        while state.reports:
            report = state.reports[0]
            planner.ended(state, report, workflow.now())
            self._touch()
            if report.outcome is not VisitOutcome.BROKEN:
                # That of a broken cell stays until an operator has seen to it.
                await self._give_back(report.cell)
            state.reports.pop(0)
            # A cell that has been visited is seen anew before anything else starts.
            self._fleet = None

    async def _acquire(self, wanted: Acquire, retry: RetryPolicy) -> Answer:
        """Ask for a lease. One whose answer was lost may be held, and is given back in the end."""
        held = self._state.held_leases
        held.setdefault(wanted.cell, 0)
        answer = await workflow.execute_activity_method(
            RolloutActivities.acquire_lease,
            wanted,
            start_to_close_timeout=_LEDGER_TIMEOUT,
            retry_policy=retry,
        )
        if answer.lease:
            held[wanted.cell] = answer.lease
        else:
            del held[wanted.cell]
        return answer

    async def _give_back(self, place: str) -> None:
        held = self._state.held_leases
        if place not in held:
            return
        await workflow.execute_activity_method(
            RolloutActivities.give_back_lease,
            GiveBack(place, self._id, held[place]),
            start_to_close_timeout=_LEDGER_TIMEOUT,
            retry_policy=_KEEP_TRYING,
        )
        held.pop(place, None)

    async def _leave(self) -> None:
        """Give back what others wait for; the leases of broken cells stay."""
        state = self._state
        broken = {c for c, p in state.cells.items() if p.status is CellStatus.BROKEN}
        for place in [lease for lease in state.held_leases if lease not in broken]:
            await self._give_back(place)
        state.holds_components = False
        # Patiently, in one activity: there is no next turn, and no next run.
        await self._publish(_KEEP_TRYING)

    async def _publish(self, retry: RetryPolicy = _ASK_AGAIN) -> None:
        if self._state.revision == self._published_revision:
            return
        view = self._view()
        with contextlib.suppress(ActivityError):
            await workflow.execute_activity_method(
                RolloutActivities.publish_rollout,
                view,
                start_to_close_timeout=_LOOK_TIMEOUT,
                retry_policy=retry,
            )
            self._published_revision = view.revision

    async def _wait(self, heard: int) -> None:
        """Return when something was told, or it is time to look again."""
        state, now = self._state, workflow.now()
        times = [now + LOOK_AT_LEAST_EVERY]
        if self._plan.wake_at is not None:
            times.append(self._plan.wake_at)
        look_at = watching.next_look(state, self._plan, now)
        if look_at is not None:
            times.append(look_at)
        seen = self._fleet is not None and not self._unseen
        unsettled = not seen or state.revision != self._published_revision
        if unsettled or not state.holds_components:
            times.append(now + TRY_AGAIN_AFTER)
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._news != heard or self._should_roll_over(),
                timeout=max(min(times) - now, timedelta(seconds=1)),
            )

    def _view(self) -> RolloutView:
        fleet = self._fleet or Fleet(seen_at=workflow.now(), cells=())
        return planner.view(self._state, self._plan, fleet, workflow.now())

    @property
    def _has_ended(self) -> bool:
        return self._state.phase is Phase.ENDED

    @property
    def _id(self) -> str:
        return workflow.info().workflow_id

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


def _is_out_of_date(fleet: Fleet, plan: Plan, now: datetime) -> bool:
    """Whether this look is too old to act on, or another may show what the plan waits for."""
    if _acts(plan):
        most = FRESH
    elif any(wait.code in planner.SEEN_BY_LOOKING and wait.until is None for wait in plan.waits):
        most = planner.LOOK_LESS if plan.only_deferred else planner.LOOK_AGAIN
    else:
        most = LOOK_AT_LEAST_EVERY
    return now - fleet.seen_at >= most


def _without_steps(plan: Plan, why: str) -> Plan:
    """Return the plan less what must not be done unseen. To halt is always right."""
    return replace(
        plan,
        starts=(),
        begin_batch=(),
        begin_bake=None,
        complete_ring=False,
        finish=None,
        blocked=why,
        wake_at=None,
    )


def _acts(plan: Plan) -> bool:
    return bool(plan.starts or plan.begin_batch or plan.complete_ring or plan.finish)


def _news(state: RolloutState, plan: Plan) -> tuple[object, ...]:
    """Return what is worth publishing when it changes: of a bake's credit, every fiftieth part."""
    ring = None if plan.ring is None else state.rings.get(plan.ring)
    baking = None if ring is None else ring.bake
    step = 0 if baking is None or not baking.needed else baking.credit * _STEPS // baking.needed
    return (
        state.phase,
        state.events_made,
        plan.ring,
        plan.blocked,
        None if baking is None else (baking.verdict, step),
        [(wait.cell, wait.code) for wait in plan.waits],
    )
