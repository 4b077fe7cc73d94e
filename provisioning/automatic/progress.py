"""What a round, an answer or a person changes in what is remembered. Pure: `now` is an argument."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from provisioning.automatic import verdicts
from provisioning.automatic.choices import Sight, in_words
from provisioning.automatic.plan import MINUTE, Plan
from provisioning.automatic.sight import FleetSurvey, NamespaceFacts
from provisioning.automatic.types import (
    Asked,
    AvailabilityEvent,
    AvailabilityPolicy,
    AvailabilityState,
    CellRecord,
    Choice,
    LiftCellHold,
    Move,
    MoveAnswer,
    Pause,
    PauseAvailability,
    ResumeAvailability,
    SetAvailabilityPolicy,
    Verdict,
)
from provisioning.automatic.votes import Count
from provisioning.types import FailoverCause, OperationState

EVENTS_KEPT = 200
"""More than one round ever makes, so that each is published at least once."""
NAMED = 10
"""Namespaces that an event names one by one."""
_TOLD = {
    Verdict.LOST: "cell lost",
    Verdict.HELD: "cell held",
    Verdict.RECOVERING: "cell answers again",
}


def take_in(
    state: AvailabilityState, survey: FleetSurvey, counts: Mapping[str, Count], now: datetime
) -> Sight:
    """Let what a round said count, and return what is known since."""
    policy, cells = state.policy, {cell.id: cell for cell in survey.cells}
    state.rounds += 1
    state.blind = ""
    usual = policy.calm_every + policy.stale_after
    if state.last_round is not None and now - state.last_round > 3 * usual:
        for record in state.cells.values():
            verdicts.forget_streaks(record)
    state.last_round = now
    for gone in state.cells.keys() - cells.keys():
        del state.cells[gone]
    for cell, facts in cells.items():
        record = state.cells.setdefault(cell, CellRecord())
        before = verdicts.judge(record, facts, counts[cell], policy, now)
        if record.verdict is not before:
            _tell_verdict(state, cell, before, counts[cell], now)
    return Sight(now, cells, counts)


def saw_nothing(state: AvailabilityState, why: str, now: datetime) -> None:
    """Take note of a round in which the fleet could not be seen: nothing is concluded from it."""
    if not state.blind:
        note(state, "blind", why, now)
    state.blind = why
    for record in state.cells.values():
        verdicts.forget_streaks(record)


def settle(
    state: AvailabilityState, namespaces: Mapping[str, Sequence[NamespaceFacts]], now: datetime
) -> None:
    """Strike off what was asked for and is over."""
    known = {cell: {each.id: each for each in found} for cell, found in namespaces.items()}
    for namespace, asked in list(state.asked.items()):
        record = state.cells.get(asked.cell)
        if record is None or (asked.refused and not _still_matters(asked, record)):
            del state.asked[namespace]
        elif asked.cell in known:
            _settle_one(state, asked, known[asked.cell].get(namespace), now)


def ask(state: AvailabilityState, moves: Iterable[Move], now: datetime) -> None:
    """Write down what is about to be asked for: its answer may be lost."""
    for move in moves:
        state.asked[move.namespace] = Asked(
            namespace=move.namespace,
            operation=move.operation,
            cell=move.cell,
            target=move.target,
            cause=move.cause,
            at=now,
            attempt=move.attempt,
            tries=move.tries,
        )
        state.asked_at.append(now)
        if move.cause is FailoverCause.AUTOMATIC:
            record = state.cells[move.cell]
            record.left_at = record.left_at or now
            record.to_return = True
        note(
            state,
            "failback asked" if move.cause is FailoverCause.FAILBACK else "failover asked",
            f"to {move.target}, {move.mode}: {move.reason}",
            now,
            cell=move.cell,
            namespace=move.namespace,
        )
    state.asked_at = [at for at in state.asked_at if now - at < MINUTE]


def hear(state: AvailabilityState, answers: Iterable[MoveAnswer], now: datetime) -> None:
    """Take note of who does not agree."""
    for answer in answers:
        asked = state.asked.get(answer.namespace)
        if asked is not None and answer.refused:
            state.asked[answer.namespace] = replace(asked, refused=answer.refused, at=now)
            _tell(state, "failover refused", answer.refused, asked, now)


def forget_returned(
    state: AvailabilityState,
    planned: Plan,
    namespaces: Mapping[str, Sequence[NamespaceFacts]],
    sight: Sight,
) -> None:
    """Look no longer for namespaces that may return to a cell where all is done."""
    waiting = {
        each.cell
        for each in planned.decisions
        if each.cause is FailoverCause.FAILBACK and each.choice is not Choice.STAYS
    }
    for cell in namespaces:
        record = state.cells[cell]
        well_for = None if record.well_since is None else sight.now - record.well_since
        if (
            record.verdict is Verdict.WELL
            and well_for is not None
            and well_for >= state.policy.failback_after
            and state.policy.failback
            and cell not in waiting
        ):
            record.to_return = False
            _tell_who_stays(state, planned, cell, sight.now)


def pause(state: AvailabilityState, request: PauseAvailability, now: datetime) -> None:
    if state.paused is None or (state.paused.by, state.paused.reason) != (
        request.actor,
        request.reason,
    ):
        state.paused = Pause(request.actor, request.reason, now)
        note(state, "paused", request.reason, now, actor=request.actor)


def resume(state: AvailabilityState, request: ResumeAvailability, now: datetime) -> None:
    if state.paused is not None:
        state.paused = None
        note(state, "resumed", request.reason, now, actor=request.actor)


def set_policy(state: AvailabilityState, request: SetAvailabilityPolicy, now: datetime) -> None:
    if state.policy != request.policy:
        state.policy = request.policy
        note(state, "policy changed", request.reason, now, actor=request.actor)


def lift_hold(state: AvailabilityState, request: LiftCellHold, now: datetime) -> None:
    record = state.cells.get(request.cell)
    if record is not None and record.verdict is Verdict.HELD:
        verdicts.lift_hold(record, now)
        note(state, "hold lifted", request.reason, now, actor=request.actor, cell=request.cell)


def check_policy(policy: AvailabilityPolicy) -> None:
    """Raise ValueError for a policy that would act on nothing, or on anything."""
    for name, least in (
        ("lost_rounds", 2),
        ("flaps", 2),
        ("most_cells", 0),
        ("most_per_minute", 0),
        ("most_at_once", 0),
        ("attempts", 1),
    ):
        if (found := getattr(policy, name)) < least:
            raise ValueError(f"{name} is {found}: at least {least}")
    for name, least_seconds in (
        ("lost_for", 1),
        ("suspicious_every", 1),
        ("calm_every", 1),
        ("stale_after", 1),
        ("retry_after", 1),
        ("failback_after", 1),
    ):
        seconds = getattr(policy, name).total_seconds()
        if seconds < least_seconds:
            raise ValueError(f"{name} is {seconds:g} s: at least {least_seconds} s")


def note(
    state: AvailabilityState,
    what: str,
    message: str,
    now: datetime,
    *,
    actor: str = "",
    cell: str = "",
    namespace: str = "",
) -> None:
    state.events_made += 1
    event = AvailabilityEvent(state.events_made, now, what, message, actor, cell, namespace)
    state.events = [*state.events, event][-EVENTS_KEPT:]


def _tell_verdict(
    state: AvailabilityState, cell: str, before: Verdict, count: Count, now: datetime
) -> None:
    """Tell people what they would act on; doubts come and go."""
    verdict, record = state.cells[cell].verdict, state.cells[cell]
    message = count.message
    if verdict is Verdict.HELD:
        times = verdicts.flaps(record, state.policy, now)
        message = (
            f"lost {times} times within {in_words(state.policy.flap_window)}: nothing is done with "
            f"it until it has been well for {in_words(state.policy.hold_for)}, or a person lifts it"
        )
    what = _TOLD.get(verdict, "")
    if verdict is Verdict.WELL and before in (Verdict.RECOVERING, Verdict.HELD):
        what = "cell well"
    if what:
        note(state, what, message, now, cell=cell)


def _tell_who_stays(state: AvailabilityState, planned: Plan, cell: str, now: datetime) -> None:
    stay = [
        f"{each.namespace}: {each.reason}"
        for each in planned.decisions
        if each.cell == cell and each.cause is FailoverCause.FAILBACK
    ]
    if stay:
        others = len(stay) - NAMED
        message = "; ".join(stay[:NAMED]) + (f"; and {others} others" if others > 0 else "")
        note(state, "do not return", message, now, cell=cell)


def _still_matters(asked: Asked, record: CellRecord) -> bool:
    if asked.cause is FailoverCause.FAILBACK:
        return record.verdict is Verdict.WELL and record.to_return
    return record.verdict is Verdict.LOST


def _settle_one(
    state: AvailabilityState, asked: Asked, found: NamespaceFacts | None, now: datetime
) -> None:
    if found is None:
        del state.asked[asked.namespace]
        return
    if found.active == asked.target:
        del state.asked[asked.namespace]
        _tell(state, "failed over", f"active in {asked.target}", asked, now)
        return
    if asked.cause is FailoverCause.AUTOMATIC and found.active != asked.cell:
        # Somebody else has moved it elsewhere.
        del state.asked[asked.namespace]
        return
    operation = next((each for each in found.asked if each.id == asked.operation), None)
    if operation is None or asked.refused:
        return
    match operation.state:
        case OperationState.PENDING | OperationState.IN_PROGRESS:
            pass
        case OperationState.FAILED | OperationState.CANCELLED:
            why = operation.failure or f"its operation was {operation.state.value.lower()}"
            state.asked[asked.namespace] = replace(
                asked, refused=why, at=now, attempt=asked.attempt + 1
            )
            _tell(state, "failover failed", why, asked, now)
        case OperationState.FULFILLED:
            # It was done, and undone by somebody else since.
            del state.asked[asked.namespace]


def _tell(state: AvailabilityState, what: str, message: str, asked: Asked, now: datetime) -> None:
    if asked.cause is FailoverCause.FAILBACK:
        what = what.replace("failover", "failback").replace("failed over", "returned")
    note(state, what, message, now, cell=asked.cell, namespace=asked.namespace)
