"""What others see: the verdicts, by whose word, and what happens next. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from provisioning.automatic import verdicts
from provisioning.automatic.choices import Sight, in_words
from provisioning.automatic.plan import Plan
from provisioning.automatic.types import (
    AvailabilityState,
    AvailabilityView,
    CellAvailability,
    Choice,
    Tally,
    VantageView,
    Verdict,
)
from provisioning.types import FailoverCause

_ANY_TIME = datetime.min.replace(tzinfo=UTC)


def view(
    state: AvailabilityState,
    sight: Sight | None,
    vantages: Sequence[VantageView],
    planned: Plan,
    *,
    now: datetime,
    next_round: datetime | None,
) -> AvailabilityView:
    """Put together what the latest round led to; before the first one there is little to say."""
    cells = (
        ()
        if sight is None
        else tuple(_cell(cell, state, sight, planned) for cell in sorted(sight.cells))
    )
    return AvailabilityView(
        revision=state.revision,
        at=now if sight is None else sight.now,
        policy=state.policy,
        paused=state.paused,
        rounds=state.rounds,
        next_round=next_round,
        blind=state.blind,
        vantages=tuple(vantages),
        cells=cells,
        namespaces=planned.decisions,
        events=tuple(state.events),
    )


def news(view: AvailabilityView) -> AvailabilityView:
    """Return the view less what changes with every round though nothing is new."""
    cells = tuple(
        replace(cell, next_at=None, votes=tuple(replace(vote, at=None) for vote in cell.votes))
        for cell in view.cells
    )
    return replace(view, revision=0, at=_ANY_TIME, rounds=0, next_round=None, cells=cells)


def _cell(cell: str, state: AvailabilityState, sight: Sight, planned: Plan) -> CellAvailability:
    record, count, facts = state.cells[cell], sight.counts[cell], sight.cells[cell]
    known = CellAvailability(
        cell=cell,
        region=facts.region,
        verdict=record.verdict,
        since=record.since,
        votes=count.votes,
        quorum=count.message,
    )
    policy = state.policy
    match record.verdict:
        case Verdict.LOST:
            return _lost(known, sight, planned)
        case Verdict.HELD:
            times = verdicts.flaps(record, policy, sight.now) or len(record.losses)
            ends = None if record.well_since is None else record.well_since + policy.hold_for
            return replace(
                known,
                next="it is let go, if it stays well" if ends else "",
                next_at=ends,
                why_not=f"it was lost {times} times within {in_words(policy.flap_window)}: a "
                "person decides, and lifts the hold",
                asks_person=True,
            )
        case Verdict.RECOVERING:
            back = None if record.well_since is None else record.well_since + policy.failback_after
            return replace(
                known,
                next="it counts as well" if back else "",
                next_at=back,
                why_not="" if back else f"not every round finds it well: {count.message}",
            )
        case Verdict.WELL | Verdict.UNKNOWN | Verdict.SUSPECTED:
            if count.tally is Tally.LOST and record.lost_since is not None:
                return _soon_lost(known, record.lost_since, state, sight)
            return replace(known, next=_returning(cell, planned))


def _soon_lost(
    known: CellAvailability, lost_since: datetime, state: AvailabilityState, sight: Sight
) -> CellAvailability:
    record, policy, facts = state.cells[known.cell], state.policy, sight.cells[known.cell]
    patience = verdicts.patience(facts, policy)
    rounds = max(policy.lost_rounds - record.lost_rounds, 1)
    at = max(lost_since + patience, sight.now + rounds * policy.suspicious_every)
    disturbed = verdicts.disturbed_by(facts)
    return replace(
        known,
        next="it counts as lost, if it stays so",
        next_at=at,
        why_not=f"{disturbed}, and may take {in_words(patience)}"
        if disturbed
        else f"lost in {record.lost_rounds} rounds, {policy.lost_rounds} are needed over "
        f"{_seconds(policy.lost_for)}",
    )


def _lost(known: CellAvailability, sight: Sight, planned: Plan) -> CellAvailability:
    if sight.cells[known.cell].is_synthetic:
        return replace(known, why_not="it holds no tenant")
    mine = [
        each
        for each in planned.decisions
        if each.cell == known.cell and each.cause is FailoverCause.AUTOMATIC
    ]
    obstacle = planned.obstacles.get(known.cell, "")
    told = Counter(each.choice for each in mine)
    parts = [f"{told[choice]} {_of(choice)}" for choice in Choice if told[choice]]
    nothing = "" if obstacle else "no namespace is left"
    return replace(
        known,
        next=f"of {len(mine)} namespaces {', '.join(parts)}" if mine else nothing,
        why_not=obstacle,
        asks_person=bool(obstacle) or any(each.asks_person for each in mine),
    )


def _returning(cell: str, planned: Plan) -> str:
    back = [
        each
        for each in planned.decisions
        if each.cell == cell
        and each.cause is FailoverCause.FAILBACK
        and each.choice is not Choice.STAYS
    ]
    return f"{len(back)} namespaces return to it" if back else ""


def _of(choice: Choice) -> str:
    match choice:
        case Choice.MOVES:
            return "are told to move"
        case Choice.MOVING:
            return "are moving"
        case Choice.WAITS:
            return "wait"
        case Choice.STAYS:
            return "stay"


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
