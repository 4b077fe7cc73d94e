"""When cells may be changed: change windows, freezes, and incidents that block.

Pure: `now` is an argument. `Calendar.at` is made once per pass over the fleet: it evaluates each
window once, and what it says of a cell is a look into sets.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from rollout.occurrences import Span, check_spans, spans
from rollout.openings import LOOK_AHEAD, Entry, Openings, once

MOST_ENTRIES = 200
"""Of windows, of freezes and of blockers."""
EVERYWHERE = "all"

MOST_FORETOLD = 100
"""So many spans of a window are foretold: what is kept of a calendar stays small."""

_SELECTOR = re.compile(r"all|(?:ring/\d{1,4}|(?:provider|region|cell)/[A-Za-z0-9][A-Za-z0-9._-]*)")


class Place(Protocol):
    """What selectors know of a cell."""

    @property
    def id(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def ring(self) -> int: ...


@dataclass(frozen=True)
class ChangeWindow:
    """A time that comes again and again, in which cells may be changed, or may not."""

    name: str
    rrule: str
    """When it begins (RFC 5545), such as `FREQ=WEEKLY;BYDAY=TU,TH`. FREQ is DAILY or longer."""
    dtstart: datetime
    """The first time that counts, as the wall clock shows it, without an offset."""
    duration: timedelta
    """By the wall clock, too: eight hours from 22:00 end at 06:00 in every night of the year."""
    time_zone: str
    """Such as `Europe/Berlin`."""
    selector: str = EVERYWHERE
    """Whom it concerns: `all`, `ring/2`, `provider/aws`, `region/aws-us-east-1`, `cell/<id>`."""
    allow: bool = True
    """False closes. A cell that some allowing windows concern is closed outside of them."""


@dataclass(frozen=True)
class ForetoldWindow:
    """A change window as those see it who know no time zones: workflows, whose replays must not
    depend on the rules for time zones of the day."""

    name: str
    selector: str
    allow: bool
    edges: tuple[int, ...]
    """When it begins and ends, in turn, seconds since 1970, UTC."""
    until: datetime
    """Nothing is known from then on."""


@dataclass(frozen=True)
class Freeze:
    """A time in which nothing starts, once."""

    name: str
    reason: str
    since: datetime
    until: datetime
    selector: str = EVERYWHERE


@dataclass(frozen=True)
class Blocker:
    """An incident during which nothing starts."""

    name: str
    reason: str
    by: str
    since: datetime
    until: datetime | None = None
    """None until somebody takes it away."""
    selector: str = EVERYWHERE
    blocks_rollback: bool = False
    """Cells must be left alone altogether."""


@dataclass(frozen=True)
class Verdict:
    """Whether a cell's change may start."""

    allowed: bool
    reason: str = ""
    """Empty when it may."""
    until: datetime | None = None
    """When it may, as far as the calendar says today; None for unknown, and when it may now."""


@dataclass(frozen=True)
class Calendar:
    """When which cells may be changed. Cells under way when it closes finish."""

    windows: tuple[ChangeWindow, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    source_ok: bool = True
    """False when it could not be read: then nothing starts, except what goes back."""
    freezes: tuple[Freeze, ...] = ()
    foretold: tuple[ForetoldWindow, ...] = ()
    """What became of windows when they were looked up for later."""

    def foretell(self, now: datetime) -> "Calendar":
        """Return a calendar that says the same from now on, for as long as it knows, and needs
        neither rules nor time zones to say it."""
        return replace(
            self, windows=(), foretold=(*self.foretold, *(_foretold(w, now) for w in self.windows))
        )

    def at(self, now: datetime) -> "CalendarAt":
        """Return what it says at one moment, for any number of cells."""
        return CalendarAt(self, now)


def may_start(
    calendar: Calendar, cell: Place, now: datetime, duration_p95: timedelta, forward: bool
) -> Verdict:
    """Say whether a change of the cell that takes so long may start now. See `CalendarAt`."""
    return calendar.at(now).may_start(cell, duration_p95, forward)


class CalendarAt:
    """A calendar at one moment. It remembers what it found out: use one per pass."""

    def __init__(self, calendar: Calendar, now: datetime) -> None:
        entries = _entries(calendar)
        self._source_ok = calendar.source_ok
        self._openings = Openings(entries, now)
        # A set of entries is a number, with a bit for each.
        self._concerned: dict[str, int] = {}
        self._stopping_rollbacks = 0
        for n, entry in enumerate(entries):
            selector = entry.selector
            self._concerned[selector] = self._concerned.get(selector, 0) | 1 << n
            self._stopping_rollbacks |= entry.stops_rollbacks << n
        self._of_places: dict[tuple[int, str, str], int] = {}
        self._verdicts: dict[tuple[int, timedelta], Verdict] = {}

    def may_start(self, cell: Place, duration_p95: timedelta, forward: bool) -> Verdict:
        """Say whether a change of the cell that takes so long may start now.

        Forward it has to be over before anything closes. Going back may start at any time but in an
        incident that forbids even that, and does not have to fit.
        """
        concerned = self._concerning(cell)
        if not forward:
            return self._verdict(concerned & self._stopping_rollbacks, timedelta(0))
        if not self._source_ok:
            return Verdict(False, "the calendar cannot be read: nothing starts until it can")
        return self._verdict(concerned, duration_p95)

    def _concerning(self, cell: Place) -> int:
        place = (cell.ring, cell.provider, cell.region)
        concerned = self._of_places.get(place)
        if concerned is None:
            concerned = 0
            for selector in (
                EVERYWHERE,
                f"ring/{cell.ring}",
                f"provider/{cell.provider}",
                f"region/{cell.region}",
            ):
                concerned |= self._concerned.get(selector, 0)
            self._of_places[place] = concerned
        return concerned | self._concerned.get(f"cell/{cell.id}", 0)

    def _verdict(self, concerned: int, duration: timedelta) -> Verdict:
        if not concerned:
            return Verdict(True)
        verdict = self._verdicts.get((concerned, duration))
        if verdict is None:
            reason, until = self._openings.why_not_now(concerned, duration)
            verdict = Verdict(not reason, reason, until)
            self._verdicts[concerned, duration] = verdict
        return verdict


def check_calendar(calendar: Calendar) -> None:
    """Raise ValueError, naming the value and the remedy, for a calendar that cannot be."""
    if calendar.foretold:
        raise ValueError("foretold is worked out from windows: leave it empty, and write windows")
    _check_names("change windows", [window.name for window in calendar.windows])
    _check_names("freezes", [freeze.name for freeze in calendar.freezes])
    _check_names("blockers", [blocker.name for blocker in calendar.blockers])
    for window in calendar.windows:
        what = f"change window {window.name!r}"
        _check_selector(what, window.selector)
        try:
            check_spans(window.rrule, window.dtstart, window.duration, window.time_zone)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
    for freeze in calendar.freezes:
        _check_once(f"freeze {freeze.name!r}", freeze.selector, freeze.since, freeze.until)
    for blocker in calendar.blockers:
        _check_once(f"blocker {blocker.name!r}", blocker.selector, blocker.since, blocker.until)


def _entries(calendar: Calendar) -> Sequence[Entry]:
    return (
        *(
            Entry(
                f"incident {blocker.name!r}: {blocker.reason} (by {blocker.by})",
                blocker.selector,
                False,
                blocker.blocks_rollback,
                once(blocker.since, blocker.until),
            )
            for blocker in calendar.blockers
        ),
        *(
            Entry(
                f"freeze {freeze.name!r}: {freeze.reason}",
                freeze.selector,
                False,
                False,
                once(freeze.since, freeze.until),
            )
            for freeze in calendar.freezes
        ),
        *(
            Entry(
                f"{'change window' if window.allow else 'recurring freeze'} {window.name!r}",
                window.selector,
                window.allow,
                False,
                partial(_spans_of, window),
            )
            for window in calendar.windows
        ),
        *(
            Entry(
                f"{'change window' if window.allow else 'recurring freeze'} {window.name!r}",
                window.selector,
                window.allow,
                False,
                partial(_spans_foretold, window),
                window.until,
            )
            for window in calendar.foretold
        ),
    )


def _spans_of(window: ChangeWindow, since: datetime, until: datetime) -> list[Span]:
    return spans(
        window.rrule,
        window.dtstart,
        window.duration,
        window.time_zone,
        since,
        until,
        to_the_last=not window.allow,  # When in doubt, it is closed.
    )


def _foretold(window: ChangeWindow, now: datetime) -> ForetoldWindow:
    until = now + LOOK_AHEAD
    found = _spans_of(window, now, until)
    if len(found) > MOST_FORETOLD:
        until = found[MOST_FORETOLD][0]
    edges = (int(edge.timestamp()) for span in found[:MOST_FORETOLD] for edge in span)
    return ForetoldWindow(window.name, window.selector, window.allow, tuple(edges), until)


def _spans_foretold(window: ForetoldWindow, since: datetime, until: datetime) -> list[Span]:
    edges = [datetime.fromtimestamp(edge, UTC) for edge in window.edges]
    return [
        (begins, ends)
        for begins, ends in zip(edges[::2], edges[1::2], strict=True)
        if begins < until and since < ends
    ]


def _check_names(what: str, names: Sequence[str]) -> None:
    if len(names) > MOST_ENTRIES:
        raise ValueError(f"{len(names)} {what} are too many: {MOST_ENTRIES} at most")
    if not all(names):
        raise ValueError(f"one of the {what} has no name: name it")
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise ValueError(f"{what} are named twice: {', '.join(twice)}")


def _check_selector(what: str, selector: str) -> None:
    if not _SELECTOR.fullmatch(selector):
        raise ValueError(
            f"{what}: selector {selector!r} is none: write all, ring/2, provider/aws, "
            "region/aws-us-east-1 or cell/aws-us-east-1-c1"
        )


def _check_once(what: str, selector: str, since: datetime, until: datetime | None) -> None:
    _check_selector(what, selector)
    for name, at in (("since", since), ("until", until)):
        if at is not None and at.tzinfo is None:
            raise ValueError(f"{what}: {name} {at.isoformat()} has no offset: write one, or Z")
    if until is not None and until <= since:
        raise ValueError(
            f"{what}: until {until.isoformat()} is not after since {since.isoformat()}: swap them"
        )
