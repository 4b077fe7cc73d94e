"""Bakes: a clock that runs only on fresh, sufficient, green evidence."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rollout.gates import Evidence, Verdict

ZERO = timedelta(0)
LOOK_AT_MOST_EVERY = timedelta(minutes=1)
"""Shorter bakes than ten of these look ten times."""
LOOK_AT_LEAST_EVERY = timedelta(minutes=30)
SHORTEST_LOOK = timedelta(seconds=1)

_LOOKS_PER_CREDIT = 10
"""The next look is a tenth of the credit away: what goes wrong soon is seen soon."""
_MESSAGE_CHARACTERS = 1000
_WORST_FIRST = (
    Verdict.FAIL,
    Verdict.CONFOUNDED,
    Verdict.NO_DATA,
    Verdict.INCONCLUSIVE,
    Verdict.PASS,
)


@dataclass(frozen=True)
class Bake:
    """What has been credited of what is needed.

    A bake begins when its cells' visits have ended, and those end by proving the cells healthy.
    """

    needed: timedelta
    began_at: datetime
    counted_until: datetime
    """What happened up to here is settled, credited or not. The next window begins here."""
    credit: timedelta = ZERO
    held: timedelta = ZERO
    """What is credited too once the gates that are still undecided pass."""
    verdict: Verdict | None = None
    """Of the latest evidence; None before the first."""
    message: str = ""
    without_data_since: datetime | None = None
    looked_at: datetime | None = None
    """Until when the latest evidence looked, whatever it found."""
    in_doubt: bool = False
    """`counted_until` was a bad moment."""
    bad_since: datetime | None = None
    """Since when every look found the cells bad, or their surroundings."""
    inherited: timedelta = ZERO
    """What of the credit another release has earned, of which this one is a patch."""

    @property
    def is_complete(self) -> bool:
        return self.credit >= self.needed


@dataclass(frozen=True)
class PatchCredit:
    """What a release has baked that this one is a patch of."""

    release: str
    rollout: str
    """Which brought it; empty when none did."""
    rings: dict[int, timedelta] = field(default_factory=dict)
    """What its bake had been credited, by ring."""
    refused: str = ""
    """Why nothing of it counts; empty when it may."""


def begin(needed: timedelta, now: datetime) -> Bake:
    """Return a bake without credit."""
    return Bake(needed, began_at=now, counted_until=now)


def accrue(bake: Bake, evidence: Evidence) -> Bake:
    """Return the bake with what this window adds.

    If all gates pass, that is the window without what they could not see, taken off once for each
    reading: for all we know they missed different parts of it. If some are undecided and none is
    worse, it is held until they pass. One that fails takes everything away, and the window that
    follows earns nothing: nobody saw when in it the cells recovered. Without data the clock stands,
    and the window stays open: evidence that comes later, and reaches back, still counts.
    """
    verdict = _verdict(evidence)
    bad = verdict in (Verdict.FAIL, Verdict.CONFOUNDED)
    seen = replace(
        bake,
        verdict=verdict,
        message=_message(evidence, verdict),
        without_data_since=None,
        bad_since=(bake.bad_since or evidence.until) if bad else None,
        looked_at=max(bake.looked_at or bake.began_at, evidence.until),
    )
    if verdict is Verdict.NO_DATA:
        since = bake.without_data_since or max(bake.counted_until, evidence.since)
        return replace(seen, without_data_since=since)
    seen = replace(seen, counted_until=max(bake.counted_until, evidence.until))
    earned = bake.held + _earned(bake, evidence)
    match verdict:
        case Verdict.PASS:
            return replace(seen, credit=bake.credit + earned, held=ZERO, in_doubt=False)
        case Verdict.INCONCLUSIVE:
            return replace(seen, held=earned, in_doubt=False)
        case Verdict.FAIL:
            return replace(seen, credit=ZERO, held=ZERO, inherited=ZERO, in_doubt=True)
        case Verdict.CONFOUNDED:
            return replace(seen, held=ZERO, in_doubt=True)


def inherit(bake: Bake, earned: timedelta) -> Bake:
    """Return the bake with what another release has earned in its place."""
    return replace(bake, credit=bake.credit + earned, inherited=earned)


def look_anew(bake: Bake) -> Bake:
    """Return the bake that is looked at soon again: something has changed."""
    return replace(bake, bad_since=None)


def next_look(bake: Bake, now: datetime, patience: timedelta = LOOK_AT_LEAST_EVERY) -> datetime:
    """Return when evidence is due next, `now` if it is overdue.

    After a minute at first, then after a tenth of the credit, or of the time without any news worth
    crediting or in which all was bad, up to half an hour; and when the bake can be complete, if
    that comes sooner. Looks are never further apart than `patience`, and one is due when there has
    been no evidence for so long: that is when people hear of it.
    """
    last, earned = bake.looked_at or bake.began_at, bake.credit + bake.held
    shortest = min(max(bake.needed / _LOOKS_PER_CREDIT, SHORTEST_LOOK), LOOK_AT_MOST_EVERY)
    bad_for = ZERO if bake.bad_since is None else last - bake.bad_since
    own = earned - bake.inherited
    waited = max(own, last - bake.counted_until, bad_for) / _LOOKS_PER_CREDIT
    longest = max(min(LOOK_AT_LEAST_EVERY, patience), shortest)
    due = last + min(max(waited, shortest), longest)
    if bake.without_data_since is not None and bake.without_data_since + patience > last:
        due = min(due, bake.without_data_since + patience)
    end = bake.counted_until + (bake.needed - earned)
    if end > last:
        due = min(due, max(end, last + SHORTEST_LOOK))
    return max(due, now)


def _verdict(evidence: Evidence) -> Verdict:
    verdicts = {reading.verdict for reading in evidence.readings}
    return next((v for v in _WORST_FIRST if v in verdicts), Verdict.NO_DATA)


def _message(evidence: Evidence, verdict: Verdict) -> str:
    if not evidence.readings:
        return "no gate was asked"
    told = (r for r in evidence.readings if r.verdict is verdict and r.message)
    message = "; ".join(f"{' '.join((r.gate, r.cell)).strip()}: {r.message}" for r in told)
    return message[:_MESSAGE_CHARACTERS]


def _earned(bake: Bake, evidence: Evidence) -> timedelta:
    if bake.in_doubt:
        return ZERO
    whole = evidence.until - evidence.since
    unseen = sum((whole - min(r.covers, whole) for r in evidence.readings), ZERO)
    return max(evidence.until - max(evidence.since, bake.counted_until) - unseen, ZERO)
