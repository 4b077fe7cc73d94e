"""What is left open by things that open and things that close."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rollout.occurrences import Span

LOOK_AHEAD = timedelta(days=400)
"""Nothing is said beyond this: an opening that comes later is unknown."""
_GLANCES = (timedelta(days=8), timedelta(days=64))
"""How far is looked ahead, one after the other: what comes next is mostly near."""
_MINUTES = "%Y-%m-%d %H:%M UTC"
FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """Something that opens or closes, at times."""

    what: str
    selector: str
    opens: bool
    stops_rollbacks: bool
    spans: Callable[[datetime, datetime], list[Span]]
    """When, of the time from one moment until another; spans may begin before and end after it."""
    known_until: datetime = FOREVER


def once(begins: datetime, ends: datetime | None) -> Callable[[datetime, datetime], list[Span]]:
    """Return the spans of something that is on once; for good, where `ends` is None."""
    last = ends or FOREVER

    def found(since: datetime, until: datetime) -> list[Span]:
        return [(begins, last)] if begins < until and since < last else []

    return found


class Openings:
    """When any of the sets of entries leaves open something, from one moment on.

    A set is a number, with a bit for each entry. What was found out is remembered.
    """

    def __init__(self, entries: Sequence[Entry], now: datetime) -> None:
        self._entries = entries
        self._now = now
        self._openings: dict[tuple[int, timedelta], list[Span]] = {}
        self._spans: dict[tuple[int, timedelta], list[Span]] = {}

    def why_not_now(self, which: int, duration: timedelta) -> tuple[str, datetime | None]:
        """Return why something that takes so long does not fit in now, and when it will.

        The reason is empty when it does; the time is None when it is not known, or now.
        """
        known_until = min(entry.known_until for _, entry in self._named(which))
        known = min(known_until - self._now, LOOK_AHEAD)
        if known <= timedelta(0):
            return f"the calendar was worked out only until {known_until:{_MINUTES}}", None
        for ahead in (*(glance for glance in _GLANCES if glance < known), known):
            for begins, ends in self._openings_of(which, ahead):
                if ends - begins >= duration:
                    if begins == self._now:
                        return "", None
                    return self._reason(which, ahead, duration), begins
        reason = self._reason(which, known, duration)
        return f"{reason}; no opening for it in the next {known.days} days", None

    def _openings_of(self, which: int, ahead: timedelta) -> list[Span]:
        """Return when all of it is open, in order, less what is no longer than one before.

        The first opening that something fits into is among them.
        """
        openings = self._openings.get((which, ahead))
        if openings is None:
            opened: list[list[Span]] = []
            closed: list[list[Span]] = []
            for n, entry in self._named(which):
                (opened if entry.opens else closed).append(self._spans_of(n, ahead))
            openings, longest = [], timedelta(0)
            for begins, ends in _open(opened, closed, self._now, self._now + ahead):
                if ends - begins > longest:
                    openings.append((begins, ends))
                    longest = ends - begins
            self._openings[which, ahead] = openings
        return openings

    def _reason(self, which: int, ahead: timedelta, duration: timedelta) -> str:
        now, named = self._now, list(self._named(which))
        closing = [
            entry.what
            for n, entry in named
            if not entry.opens and any(b <= now < e for b, e in self._spans_of(n, ahead))
        ]
        if closing:
            return "; ".join(closing)
        openings = self._openings_of(which, ahead)
        if not openings or openings[0][0] > now:
            return f"outside of {', '.join(entry.what for _, entry in named if entry.opens)}"
        ends = openings[0][1]
        closing = [
            f"{entry.what} begins"
            for n, entry in named
            if not entry.opens and any(b == ends for b, _ in self._spans_of(n, ahead))
        ] or [
            f"{entry.what} ends"
            for n, entry in named
            if entry.opens and any(e == ends for _, e in self._spans_of(n, ahead))
        ]
        if not closing:  # It stays open for as long as is known.
            return f"it takes {duration} (p95)"
        what, at = "; ".join(closing), f"{ends:{_MINUTES}}"
        return f"it takes {duration} (p95), and {what} in {ends - now}, at {at}"

    def _named(self, which: int) -> Iterable[tuple[int, Entry]]:
        return ((n, entry) for n, entry in enumerate(self._entries) if which >> n & 1)

    def _spans_of(self, n: int, ahead: timedelta) -> list[Span]:
        found = self._spans.get((n, ahead))
        if found is None:
            found = self._entries[n].spans(self._now, self._now + ahead)
            self._spans[n, ahead] = found
        return found


def _open(
    opened: Sequence[Iterable[Span]],
    closed: Sequence[Iterable[Span]],
    since: datetime,
    until: datetime,
) -> Iterable[Span]:
    """Yield, in order, when something of `opened` is on and nothing of `closed`.

    With nothing in `opened`, it is open whenever it is not closed.
    """
    opening, closing = Counter[datetime](), Counter[datetime]()
    for changes, entries in ((opening, opened), (closing, closed)):
        for each in entries:
            for begins, ends in each:
                changes[max(begins, since)] += 1
                changes[ends] -= 1
    begun: datetime | None = None
    on = 0 if opened else 1
    off = 0
    for at in sorted({since, *opening, *closing}):
        if at >= until:
            break
        on += opening[at]
        off += closing[at]
        if on and not off:
            begun = begun or at
        elif begun is not None:
            yield begun, at
            begun = None
    if begun is not None:
        yield begun, until
