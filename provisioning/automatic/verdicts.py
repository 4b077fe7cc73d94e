"""What is believed of a cell after several rounds, and since when. Pure: `now` is an argument.

Nothing is believed at once, and good news takes longer than bad news.
"""

from datetime import datetime, timedelta

from provisioning.automatic.sight import CellFacts
from provisioning.automatic.types import AvailabilityPolicy, CellRecord, Tally, Verdict
from provisioning.automatic.votes import Count

LOSSES_KEPT = 20


def judge(
    record: CellRecord, cell: CellFacts, count: Count, policy: AvailabilityPolicy, now: datetime
) -> Verdict:
    """Take in what a round said of a cell, and return what was believed before."""
    before = record.verdict
    record.unanimous = count.unanimous
    match count.tally:
        case Tally.LOST:
            _note_loss(record, cell, policy, now)
            verdict = _after_loss(record, cell, policy, now)
        case Tally.WELL:
            record.lost_since, record.lost_rounds = None, 0
            record.well_since = record.well_since or now
            record.last_tally = Tally.WELL
            verdict = _while_well(record, count, policy, now)
        case Tally.UNCLEAR:
            forget_streaks(record)
            verdict = _while_unclear(before, count)
    if verdict is not before:
        record.verdict, record.since = verdict, now
    return before


def forget_streaks(record: CellRecord) -> None:
    """Begin to count rounds anew: between this one and the last nobody looked, or nobody knew."""
    record.lost_since, record.lost_rounds, record.well_since = None, 0, None


def patience(cell: CellFacts, policy: AvailabilityPolicy) -> timedelta:
    """Return how long the cell has to be lost before that is believed."""
    return policy.planned_patience if disturbed_by(cell) else policy.lost_for


def disturbed_by(cell: CellFacts) -> str:
    """Say who disturbs the cell on purpose; nothing when nobody does."""
    if cell.visit:
        return f"it is being brought to {cell.visit}"
    return f"{cell.lease} is at it" if cell.lease else ""


def flaps(record: CellRecord, policy: AvailabilityPolicy, now: datetime) -> int:
    """Return how often the cell was lost lately."""
    return sum(now - at <= policy.flap_window for at in record.losses)


def lift_hold(record: CellRecord, now: datetime) -> None:
    """Forget that the cell came and went; what it is shows the next rounds."""
    record.losses.clear()
    forget_streaks(record)
    record.verdict, record.since = Verdict.UNKNOWN, now


def _note_loss(
    record: CellRecord, cell: CellFacts, policy: AvailabilityPolicy, now: datetime
) -> None:
    if record.last_tally is Tally.WELL and not disturbed_by(cell):
        # It was well, and is not: how often that happens is what flapping means.
        recent = [at for at in record.losses if now - at <= policy.flap_window]
        record.losses = [*recent, now][-LOSSES_KEPT:]
    record.last_tally = Tally.LOST
    record.well_since = None
    record.lost_since = record.lost_since or now
    record.lost_rounds += 1


def _after_loss(
    record: CellRecord, cell: CellFacts, policy: AvailabilityPolicy, now: datetime
) -> Verdict:
    assert record.lost_since is not None, "it was lost just now"
    if record.verdict is Verdict.HELD or flaps(record, policy, now) >= policy.flaps:
        return Verdict.HELD
    if record.verdict is Verdict.LOST:
        return Verdict.LOST
    lasted = now - record.lost_since
    if record.lost_rounds < policy.lost_rounds or lasted < patience(cell, policy):
        # What was lost before and has not recovered is not merely suspected.
        return Verdict.RECOVERING if record.verdict is Verdict.RECOVERING else Verdict.SUSPECTED
    record.episode = max(record.episode + 1, int(now.timestamp()))
    record.left_at = None
    return Verdict.LOST


def _while_well(
    record: CellRecord, count: Count, policy: AvailabilityPolicy, now: datetime
) -> Verdict:
    assert record.well_since is not None, "it is well now"
    lasted = now - record.well_since
    match record.verdict:
        case Verdict.HELD:
            return Verdict.WELL if lasted >= policy.hold_for else Verdict.HELD
        case Verdict.LOST | Verdict.RECOVERING:
            return Verdict.WELL if lasted >= policy.failback_after else Verdict.RECOVERING
        case Verdict.UNKNOWN | Verdict.WELL | Verdict.SUSPECTED:
            return Verdict.SUSPECTED if count.is_doubted else Verdict.WELL


def _while_unclear(before: Verdict, count: Count) -> Verdict:
    match before:
        case Verdict.LOST | Verdict.RECOVERING | Verdict.HELD:
            return before
        case Verdict.UNKNOWN | Verdict.WELL | Verdict.SUSPECTED:
            return Verdict.SUSPECTED if count.is_doubted else Verdict.UNKNOWN
