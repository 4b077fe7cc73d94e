"""The watch over the fleet's cells, of which there is one: it decides which of them are lost."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.workflow import ContinueAsNewVersioningBehavior

from controlplane.errors import failed_precondition, invalid_argument
from controlplane.queues import cells_queue, fleet_queue
from provisioning.automatic import explaining, progress, votes
from provisioning.automatic import plan as planner
from provisioning.automatic.activities import (
    AskPeers,
    AvailabilityActivities,
    MoveNamespaces,
    ProbeCells,
    SurveyNamespaces,
)
from provisioning.automatic.choices import Sight
from provisioning.automatic.plan import Plan
from provisioning.automatic.sight import (
    FleetSurvey,
    NamespaceFacts,
    PeerSays,
    ProbeReport,
    Round,
)
from provisioning.automatic.types import (
    AvailabilityState,
    AvailabilityView,
    Choice,
    LiftCellHold,
    Move,
    MoveAnswer,
    PauseAvailability,
    ResumeAvailability,
    SetAvailabilityPolicy,
    VantageView,
    Verdict,
)

LOOK_WITHIN = timedelta(seconds=15)
"""The store answers in milliseconds. One that does not is asked again in the next round."""
MOVE_WITHIN = timedelta(seconds=30)
SAY_AT_LEAST_EVERY = timedelta(minutes=2)
"""Though nothing is new: who reads it sees that somebody still watches."""
PUBLISH_WITHIN = timedelta(seconds=10)

_ONCE = RetryPolicy(maximum_attempts=1)
_ASK_AGAIN = RetryPolicy(maximum_attempts=3, maximum_interval=timedelta(seconds=2))
_UNSEEN = Plan()


@workflow.defn
class AvailabilityWorkflow:
    """Asks every vantage point about every cell, round after round, and acts on what they agree on.

    Handlers only record; `run` looks, decides and asks. Whatever cannot be asked abstains, so that
    a control plane in trouble sees nothing lost, and moves nothing.
    """

    @workflow.init
    def __init__(self, state: AvailabilityState) -> None:
        self._state = state
        if state.revision == 0:
            # Above all numbers of a watch that there was before, had that one to be given up: or
            # its last view would never be replaced, and no event of this one recorded.
            state.revision = state.events_made = int(workflow.now().timestamp() * 1000)
        self._sight: Sight | None = None
        self._vantages: tuple[VantageView, ...] = ()
        self._plan = _UNSEEN
        self._news = 0
        """Rises with everything that people ask for."""
        self._next_round: datetime | None = None
        self._told: AvailabilityView | None = None
        self._published_at: datetime | None = None

    @workflow.run
    async def run(self, _: AvailabilityState) -> None:
        while True:
            heard = self._news
            await self._round()
            await self._publish()
            if self._should_roll_over():
                break
            await self._wait(heard)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            self._state, initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE
        )

    # No queries: ARCHITECTURE.md says why.

    @workflow.update
    def describe(self) -> AvailabilityView:
        return self._view()

    @workflow.update
    def pause(self, request: PauseAvailability) -> AvailabilityView:
        """Move nothing; the watch goes on."""
        progress.pause(self._state, request, workflow.now())
        return self._heard()

    @pause.validator
    def _check_pause(self, request: PauseAvailability) -> None:
        _answered_for(request)

    @workflow.update
    def resume(self, request: ResumeAvailability) -> AvailabilityView:
        progress.resume(self._state, request, workflow.now())
        return self._heard()

    @resume.validator
    def _check_resume(self, request: ResumeAvailability) -> None:
        _answered_for(request)

    @workflow.update
    def set_policy(self, request: SetAvailabilityPolicy) -> AvailabilityView:
        """Decide by other rules from the next round on."""
        progress.set_policy(self._state, request, workflow.now())
        return self._heard()

    @set_policy.validator
    def _check_set_policy(self, request: SetAvailabilityPolicy) -> None:
        _answered_for(request)
        try:
            progress.check_policy(request.policy)
        except ValueError as error:
            raise invalid_argument(str(error)) from None

    @workflow.update
    def lift_hold(self, request: LiftCellHold) -> AvailabilityView:
        """Let a cell be failed over, or returned to, though it came and went."""
        progress.lift_hold(self._state, request, workflow.now())
        return self._heard()

    @lift_hold.validator
    def _check_lift_hold(self, request: LiftCellHold) -> None:
        _answered_for(request)
        record = self._state.cells.get(request.cell)
        if record is None:
            raise failed_precondition(f"no cell {request.cell} is known here")

    async def _round(self) -> None:
        """Look at everything once, and act on it."""
        state, policy = self._state, self._state.policy
        survey = await self._survey()
        if survey is None:
            return
        began_at = workflow.now()
        reports = await asyncio.gather(
            *(self._probe(region) for region in votes.looking_regions(survey, policy))
        )
        heard = tuple(report for report in reports if report is not None)
        seen = Round(began_at, workflow.now(), survey, heard)
        asked = self._to_be_asked_about(seen)
        peers = await self._ask_peers(asked, seen)
        seen = Round(began_at, workflow.now(), survey, heard, peers)
        counts = votes.counts(seen, policy, peers_asked=asked)
        self._vantages = votes.vantages(seen, policy)
        # As of the end: how long ago that was is part of what counts.
        self._sight = sight = progress.take_in(state, survey, counts, workflow.now())
        await self._act(sight)

    async def _survey(self) -> FleetSurvey | None:
        try:
            return await workflow.execute_activity_method(
                AvailabilityActivities.survey_fleet,
                task_queue=fleet_queue(),
                schedule_to_close_timeout=LOOK_WITHIN,
                retry_policy=_ASK_AGAIN,
            )
        except ActivityError as error:
            why = f"the fleet cannot be seen: {error.cause}"
            progress.saw_nothing(self._state, why, workflow.now())
            self._vantages, self._plan = (), _UNSEEN
            return None

    async def _probe(self, region: str) -> ProbeReport | None:
        """Return what the workers of a region say; None when they are too slow to be believed."""
        with contextlib.suppress(ActivityError):
            return await workflow.execute_activity_method(
                AvailabilityActivities.probe_cells,
                ProbeCells(region),
                task_queue=cells_queue(region),
                schedule_to_close_timeout=self._state.policy.stale_after,
                retry_policy=_ONCE,
                summary=region,
            )
        return None

    def _to_be_asked_about(self, seen: Round) -> set[str]:
        unsettled = {
            cell
            for cell, record in self._state.cells.items()
            if record.verdict not in (Verdict.WELL, Verdict.UNKNOWN)
        }
        return votes.doubted(seen, self._state.policy) | unsettled

    async def _ask_peers(self, cells: set[str], seen: Round) -> tuple[PeerSays, ...]:
        """Return what the peers of these cells get from them, asked from where the peers are."""
        regions = {cell.id: cell.region for cell in seen.survey.cells}
        heard = {report.region for report in seen.reports}
        pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for cell in (each for each in seen.survey.cells if each.id in cells):
            for peer in cell.peers:
                # Workers that did not knock in time would not ask in time either.
                if regions.get(peer) in heard:
                    pairs[regions[peer]].append((peer, cell.id))
        answers = await asyncio.gather(
            *(self._ask_peers_in(region, tuple(found)) for region, found in sorted(pairs.items()))
        )
        return tuple(each for answer in answers for each in answer)

    async def _ask_peers_in(
        self, region: str, pairs: tuple[tuple[str, str], ...]
    ) -> Sequence[PeerSays]:
        with contextlib.suppress(ActivityError):
            return await workflow.execute_activity_method(
                AvailabilityActivities.ask_peers,
                AskPeers(pairs),
                task_queue=cells_queue(region),
                schedule_to_close_timeout=self._state.policy.stale_after,
                retry_policy=_ONCE,
                summary=region,
            )
        return ()

    async def _act(self, sight: Sight) -> None:
        """Tell namespaces to move, those that may: what was asked for is written down before."""
        state = self._state
        namespaces = await self._survey_namespaces(planner.to_survey(state, sight))
        progress.settle(state, namespaces, workflow.now())
        self._plan = planner.plan(state, sight, namespaces)
        progress.forget_returned(state, self._plan, namespaces, sight)
        if self._plan.moves:
            progress.ask(state, self._plan.moves, workflow.now())
            progress.hear(state, await self._move(self._plan.moves), workflow.now())

    async def _survey_namespaces(
        self, cells: tuple[str, ...]
    ) -> Mapping[str, Sequence[NamespaceFacts]]:
        if not cells:
            return {}
        with contextlib.suppress(ActivityError):
            found = await workflow.execute_activity_method(
                AvailabilityActivities.survey_namespaces,
                SurveyNamespaces(cells),
                task_queue=fleet_queue(),
                schedule_to_close_timeout=LOOK_WITHIN,
                retry_policy=_ASK_AGAIN,
            )
            return {each.cell: each.namespaces for each in found}
        return {}

    async def _move(self, moves: tuple[Move, ...]) -> Sequence[MoveAnswer]:
        try:
            return await workflow.execute_activity_method(
                AvailabilityActivities.move_namespaces,
                MoveNamespaces(moves),
                task_queue=fleet_queue(),
                start_to_close_timeout=MOVE_WITHIN,
                retry_policy=_ASK_AGAIN,
            )
        except ActivityError as error:
            # Asked again under the same ids, those that heard it change nothing.
            return [MoveAnswer(move.namespace, f"not answered: {error.cause}") for move in moves]

    async def _publish(self) -> None:
        now = workflow.now()
        self._next_round = now + self._pause_between_rounds()
        news = explaining.news(self._view())
        is_due = self._published_at is None or now - self._published_at >= SAY_AT_LEAST_EVERY
        if news == self._told and not is_due:
            return
        self._state.revision += 1
        with contextlib.suppress(ActivityError):
            await workflow.execute_activity_method(
                AvailabilityActivities.publish_availability,
                self._view(),
                task_queue=fleet_queue(),
                schedule_to_close_timeout=PUBLISH_WITHIN,
                retry_policy=_ASK_AGAIN,
            )
            self._told, self._published_at = news, now

    async def _wait(self, heard: int) -> None:
        """Return when the next round is due, or people have asked for something."""
        assert self._next_round is not None, "it was set when the last round was published"
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._news != heard or self._should_roll_over(),
                timeout=max(self._next_round - workflow.now(), timedelta(0)),
            )

    def _pause_between_rounds(self) -> timedelta:
        state = self._state
        is_tense = any(r.verdict is Verdict.SUSPECTED for r in state.cells.values()) or any(
            each.choice in (Choice.MOVES, Choice.MOVING, Choice.WAITS)
            for each in self._plan.decisions
        )
        return state.policy.suspicious_every if is_tense else state.policy.calm_every

    def _heard(self) -> AvailabilityView:
        self._news += 1
        self._state.revision += 1
        return self._view()

    def _view(self) -> AvailabilityView:
        return explaining.view(
            self._state,
            self._sight,
            self._vantages,
            self._plan,
            now=workflow.now(),
            next_round=self._next_round,
        )

    def _should_roll_over(self) -> bool:
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
        )


def _answered_for(
    request: PauseAvailability | ResumeAvailability | SetAvailabilityPolicy | LiftCellHold,
) -> None:
    if not request.actor or not request.reason:
        raise invalid_argument(
            f"this needs somebody who answers for it, and a reason: by is {request.actor!r}, "
            f"reason is {request.reason!r}"
        )
