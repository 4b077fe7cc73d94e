"""When cells may be changed: tables over the calendar, and laws that hold for any."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from rollout.calendar import (
    MOST_ENTRIES,
    Blocker,
    Calendar,
    ChangeWindow,
    Freeze,
    Verdict,
    check_calendar,
    may_start,
)
from rollout.occurrences import spans
from rollout.openings import LOOK_AHEAD

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOTHING = timedelta(0)


@dataclass(frozen=True)
class Cell:
    id: str = "aws-us-east-1-c1"
    provider: str = "aws"
    region: str = "aws-us-east-1"
    ring: int = 1


CELL = Cell()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(
    name: str,
    rrule: str,
    begins: str,
    hours: float,
    *,
    zone: str = "UTC",
    selector: str = "all",
    allow: bool = True,
) -> ChangeWindow:
    """Return a window that begins at this time of the day, from the start of 2026 on."""
    dtstart = datetime.fromisoformat(begins if "T" in begins else f"2026-01-01T{begins}")
    return ChangeWindow(name, rrule, dtstart, timedelta(hours=hours), zone, selector, allow)


def freeze(since: str, until: str, selector: str = "all") -> Freeze:
    return Freeze("year end", "nobody is in", utc(since), utc(until), selector)


def incident(
    since: str, until: str | None = None, *, selector: str = "all", blocks_rollback: bool = False
) -> Blocker:
    ends = None if until is None else utc(until)
    return Blocker("INC-7", "lost a region", "sre", utc(since), ends, selector, blocks_rollback)


NIGHTLY = window("nightly", "FREQ=DAILY", "22:00", 8)


def test_an_empty_calendar_allows_everything() -> None:
    assert may_start(Calendar(), CELL, utc("2026-11-22"), 3 * HOUR, True) == Verdict(True)


@pytest.mark.parametrize(
    ("now", "hours", "verdict"),
    [
        ("2026-11-22T22:00", 8, Verdict(True)),
        ("2026-11-23T03:30", 2.5, Verdict(True)),
        (
            "2026-11-22T21:59",
            1,
            Verdict(False, "outside of change window 'nightly'", utc("2026-11-22T22:00")),
        ),
        (
            "2026-11-23T06:00",
            0,
            Verdict(False, "outside of change window 'nightly'", utc("2026-11-23T22:00")),
        ),
        (
            "2026-11-23T05:00",
            1.5,
            Verdict(
                False,
                "it takes 1:30:00 (p95), and change window 'nightly' ends in 1:00:00, "
                "at 2026-11-23 06:00 UTC",
                utc("2026-11-23T22:00"),
            ),
        ),
        (
            "2026-11-22T23:00",
            9,
            Verdict(
                False,
                "it takes 9:00:00 (p95), and change window 'nightly' ends in 7:00:00, "
                "at 2026-11-23 06:00 UTC; no opening for it in the next 400 days",
            ),
        ),
    ],
)
def test_a_change_starts_within_a_window_that_it_fits_into(
    now: str, hours: float, verdict: Verdict
) -> None:
    found = may_start(Calendar((NIGHTLY,)), CELL, utc(now), timedelta(hours=hours), True)

    assert found == verdict


def test_windows_that_follow_each_other_are_one() -> None:
    early = window("early", "FREQ=DAILY", "06:00", 4)
    calendar = Calendar((NIGHTLY, early))

    assert may_start(calendar, CELL, utc("2026-11-23T05:00"), 5 * HOUR, True).allowed
    late = may_start(calendar, CELL, utc("2026-11-23T05:00"), 6 * HOUR, True)
    assert "change window 'early' ends in 5:00:00" in late.reason


@pytest.mark.parametrize(
    ("minutes", "starts"),
    [(0, False), (60, False), (89, False), (90, True), (120, True)],
)
def test_a_freeze_that_begins_before_the_change_is_over_lets_nothing_start(
    minutes: int, starts: bool
) -> None:
    now = utc("2026-12-20T12:00")
    frozen = Freeze("year end", "quiet", now + timedelta(minutes=minutes), utc("2027-01-04T08:00"))

    verdict = may_start(Calendar(freezes=(frozen,)), CELL, now, timedelta(minutes=90), forward=True)

    assert verdict.allowed is starts
    if not starts:
        assert verdict.until == utc("2027-01-04T08:00"), "it resumes by itself"
        assert "freeze 'year end'" in verdict.reason


def test_a_freeze_within_a_window_closes_it() -> None:
    calendar = Calendar((NIGHTLY,), freezes=(freeze("2026-11-22T23:00", "2026-11-23T04:00"),))

    frozen = may_start(calendar, CELL, utc("2026-11-23T00:00"), HOUR, True)
    assert frozen == Verdict(False, "freeze 'year end': nobody is in", utc("2026-11-23T04:00"))
    assert may_start(calendar, CELL, utc("2026-11-22T22:00"), HOUR, True).allowed
    assert may_start(calendar, CELL, utc("2026-11-23T04:00"), 2 * HOUR, True).allowed
    longer = may_start(calendar, CELL, utc("2026-11-23T00:00"), 3 * HOUR, True)
    assert longer.until == utc("2026-11-23T22:00")


def test_a_freeze_that_comes_again_closes_while_it_lasts() -> None:
    weekend = window("weekend", "FREQ=WEEKLY;BYDAY=SA", "00:00", 48, allow=False)
    calendar = Calendar((weekend,))

    saturday = may_start(calendar, CELL, utc("2026-11-21T10:00"), HOUR, True)
    assert saturday == Verdict(False, "recurring freeze 'weekend'", utc("2026-11-23"))
    assert may_start(calendar, CELL, utc("2026-11-20T23:00"), HOUR, True).allowed
    assert not may_start(calendar, CELL, utc("2026-11-20T23:01"), HOUR, True).allowed


def test_everything_that_closes_now_is_named() -> None:
    weekend = window("weekend", "FREQ=WEEKLY;BYDAY=SA", "00:00", 48, allow=False)
    calendar = Calendar(
        (weekend, NIGHTLY),
        (incident("2026-11-21"),),
        freezes=(freeze("2026-11-20", "2026-11-30"),),
    )

    verdict = may_start(calendar, CELL, utc("2026-11-21T10:00"), HOUR, True)

    assert verdict.reason == (
        "incident 'INC-7': lost a region (by sre); freeze 'year end': nobody is in; "
        "recurring freeze 'weekend'; no opening for it in the next 400 days"
    )
    assert verdict.until is None, "nobody knows how long an incident lasts"


CLOSES_ALL = {
    "outside of windows": Calendar((NIGHTLY,)),
    "freeze": Calendar(freezes=(freeze("2026-11-20", "2026-11-30"),)),
    "recurring freeze": Calendar((replace(NIGHTLY, dtstart=datetime(2026, 1, 1), allow=False),)),  # noqa: DTZ001
    "incident": Calendar(blockers=(incident("2026-11-20"),)),
    "source down": Calendar(source_ok=False),
    "source down, windows known": Calendar((NIGHTLY,), source_ok=False),
}


@pytest.mark.parametrize("calendar", CLOSES_ALL.values(), ids=CLOSES_ALL.keys())
def test_what_closes_the_way_forward_leaves_the_way_back_open(calendar: Calendar) -> None:
    now = utc("2026-11-22T07:00")

    assert not may_start(calendar, CELL, now, HOUR, forward=True).allowed
    assert may_start(calendar, CELL, now, HOUR, forward=False) == Verdict(True)


def test_a_calendar_that_cannot_be_read_is_closed_forward_until_it_can() -> None:
    verdict = may_start(Calendar(source_ok=False), CELL, utc("2026-11-22"), HOUR, True)

    assert verdict == Verdict(
        False, "the calendar cannot be read: nothing starts until it can", None
    )


@pytest.mark.parametrize("source_ok", [True, False])
def test_an_incident_may_forbid_going_back_too(source_ok: bool) -> None:
    calendar = Calendar(
        blockers=(incident("2026-11-20", "2026-11-25", blocks_rollback=True),), source_ok=source_ok
    )

    verdict = may_start(calendar, CELL, utc("2026-11-22"), HOUR, forward=False)

    assert verdict == Verdict(False, "incident 'INC-7': lost a region (by sre)", utc("2026-11-25"))
    assert may_start(calendar, CELL, utc("2026-11-25"), HOUR, forward=False).allowed
    assert may_start(calendar, CELL, utc("2026-11-19T23:59"), HOUR, forward=False).allowed


@pytest.mark.parametrize(
    ("selector", "concerned"),
    [
        ("all", True),
        ("ring/1", True),
        ("ring/2", False),
        ("ring/11", False),
        ("provider/aws", True),
        ("provider/gcp", False),
        ("region/aws-us-east-1", True),
        ("region/aws-us-east", False),
        ("cell/aws-us-east-1-c1", True),
        ("cell/aws-us-east-1-c2", False),
    ],
)
def test_an_entry_concerns_whom_it_selects(selector: str, concerned: bool) -> None:
    now = utc("2026-11-22")
    for calendar in (
        Calendar(freezes=(freeze("2026-11-20", "2026-11-30", selector),)),
        Calendar(blockers=(incident("2026-11-20", selector=selector),)),
        Calendar((window("w", "FREQ=DAILY", "00:00", 24, selector=selector, allow=False),)),
        Calendar((window("w", "FREQ=DAILY", "12:00", 1, selector=selector),)),
    ):
        check_calendar(calendar)
        assert may_start(calendar, CELL, now, HOUR, True).allowed is not concerned


def test_windows_of_others_open_nothing() -> None:
    calendar = Calendar((NIGHTLY, window("noon", "FREQ=DAILY", "12:00", 1, selector="ring/2")))
    noon = utc("2026-11-22T12:00")

    assert not may_start(calendar, CELL, noon, HOUR, True).allowed
    assert may_start(calendar, replace(CELL, ring=2), noon, HOUR, True).allowed


CLOCK_CHANGES = {
    # In Berlin the clock is put from 02:00 to 03:00 on 2026-03-29 (01:00 UTC), and from 03:00 back
    # to 02:00 on 2026-10-25 (01:00 UTC); in New York from 02:00 to 03:00 on 2026-03-08 (07:00 UTC),
    # and from 02:00 back to 01:00 on 2026-11-01 (06:00 UTC).
    "a night is an hour shorter": (BERLIN, "22:00", 8, "2026-03-28T21:00", "2026-03-29T04:00"),
    "a night is an hour longer": (BERLIN, "22:00", 8, "2026-10-24T20:00", "2026-10-25T05:00"),
    "the day of the skip": (BERLIN, "00:00", 24, "2026-03-28T23:00", "2026-03-29T22:00"),
    "the day of the repeat": (BERLIN, "00:00", 24, "2026-10-24T22:00", "2026-10-25T23:00"),
    "begins in what is skipped": (BERLIN, "02:30", 2, "2026-03-29T01:00", "2026-03-29T02:30"),
    "ends in what is skipped": (BERLIN, "01:30", 1, "2026-03-29T00:30", "2026-03-29T01:00"),
    "begins in what comes twice": (BERLIN, "02:30", 2, "2026-10-25T00:30", "2026-10-25T03:30"),
    "west: shorter": (NEW_YORK, "22:00", 8, "2026-03-08T03:00", "2026-03-08T10:00"),
    "west: longer": (NEW_YORK, "22:00", 8, "2026-11-01T02:00", "2026-11-01T11:00"),
    "west: begins in what is skipped": (
        *(NEW_YORK, "02:30", 2),
        *("2026-03-08T07:00", "2026-03-08T08:30"),
    ),
    "west: begins in what comes twice": (
        *(NEW_YORK, "01:30", 2),
        *("2026-11-01T05:30", "2026-11-01T08:30"),
    ),
}


@pytest.mark.parametrize("allow", [True, False], ids=["opens", "closes"])
@pytest.mark.parametrize(
    ("zone", "begins", "hours", "opens", "closes"), CLOCK_CHANGES.values(), ids=CLOCK_CHANGES.keys()
)
def test_a_window_is_what_the_wall_clock_shows_when_it_is_put_forward_or_back(
    zone: str, begins: str, hours: float, opens: str, closes: str, allow: bool
) -> None:
    calendar = Calendar((window("w", "FREQ=DAILY", begins, hours, zone=zone, allow=allow),))
    second = timedelta(seconds=1)

    def opened(at: datetime) -> bool:
        return may_start(calendar, CELL, at, NOTHING, True).allowed is allow

    assert opened(utc(opens))
    assert opened(utc(closes) - second)
    if hours < 24:
        assert not opened(utc(opens) - second)
        assert not opened(utc(closes))


def test_when_the_clock_shows_its_end_twice_what_closes_ends_later_than_what_opens() -> None:
    opens = window("w", "FREQ=DAILY", "00:30", 2, zone=BERLIN)
    closes = replace(opens, allow=False)
    first, second = utc("2026-10-25T00:30"), utc("2026-10-25T01:30")

    assert not may_start(Calendar((opens,)), CELL, first, NOTHING, True).allowed
    assert may_start(Calendar((closes,)), CELL, first, NOTHING, True).until == second


def test_a_window_of_which_the_clock_skips_everything_is_left_out() -> None:
    calendar = Calendar((window("w", "FREQ=DAILY", "02:15", 0.5, zone=BERLIN),))

    verdict = may_start(calendar, CELL, utc("2026-03-28T12:00"), NOTHING, True)

    assert verdict.until == utc("2026-03-30T00:15")


@pytest.mark.parametrize(
    ("rule", "until"),
    [
        ("FREQ=DAILY;UNTIL=20261120T205959Z", None),
        ("FREQ=DAILY;UNTIL=20261120T210000Z", utc("2026-11-20T21:00")),
        ("FREQ=DAILY;UNTIL=20261120T220000", utc("2026-11-20T21:00")),
        ("FREQ=DAILY;UNTIL=20261120", utc("2026-11-20T21:00")),
        ("FREQ=DAILY;UNTIL=20261119", None),
        ("FREQ=DAILY;COUNT=324", utc("2026-11-20T21:00")),
        ("FREQ=DAILY;COUNT=323", None),
    ],
)
def test_a_rule_ends_when_it_says_in_utc_or_by_the_wall_clock(
    rule: str, until: datetime | None
) -> None:
    calendar = Calendar((window("w", rule, "22:00", 2, zone=BERLIN),))
    check_calendar(calendar)

    assert may_start(calendar, CELL, utc("2026-11-20T12:00"), HOUR, True).until == until


def test_what_begins_beyond_the_look_ahead_is_unknown() -> None:
    now = utc("2026-01-02")
    rule = "FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYMONTHDAY=1"
    calendar = Calendar((window("rare", rule, "00:00", 24),))

    verdict = may_start(calendar, CELL, now, HOUR, True)
    assert verdict.until is None
    assert "no opening for it in the next 400 days" in verdict.reason
    later = may_start(calendar, CELL, utc("2028-01-01") - LOOK_AHEAD + HOUR, HOUR, True)
    assert later.until == utc("2028-01-01")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"rrule": ""}, "has '' in it: use FREQ"),
        ({"rrule": "INTERVAL=2"}, "says no FREQ"),
        ({"rrule": "FREQ=HOURLY"}, "'HOURLY' is no value of FREQ"),
        ({"rrule": "FREQ=DAILY;FREQ=DAILY"}, "has FREQ twice"),
        ({"rrule": "FREQ=DAILY;BYEASTER=0"}, "has 'BYEASTER=0' in it"),
        ({"rrule": "FREQ=DAILY\nEXDATE:20260101T000000"}, "is no value of FREQ"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "'0' is no value of INTERVAL"),
        ({"rrule": "FREQ=DAILY;INTERVAL=1001"}, "INTERVAL is 1001, 1000 at most"),
        ({"rrule": "FREQ=DAILY;COUNT=3;UNTIL=20270101"}, "has COUNT and UNTIL"),
        ({"rrule": "FREQ=DAILY;UNTIL=20270231T000000"}, "cannot be read"),
        ({"rrule": "FREQ=DAILY;UNTIL=20270231T000000Z"}, "cannot be read"),
        ({"rrule": "FREQ=DAILY;BYHOUR=24"}, "'24' is no value of BYHOUR"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=1MO"}, "numbered days are for FREQ=MONTHLY"),
        ({"rrule": "FREQ=WEEKLY;BYMONTHDAY=3"}, "BYMONTHDAY is not for FREQ=WEEKLY"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "no such month has such a day"),
        ({"rrule": "FREQ=DAILY;INTERVAL=7;BYDAY=MO"}, "never occurs from 2026-01-01T22:00:00 on"),
        ({"rrule": "FREQ=DAILY;UNTIL=20251231"}, "never occurs"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone 'Europe/Atlantis' is unknown"),
        ({"time_zone": "../etc/passwd"}, "is unknown"),
        ({"time_zone": "Europe"}, "is unknown"),
        ({"time_zone": ""}, "is unknown"),
        ({"duration": NOTHING}, "duration is 0:00:00: more than 0"),
        ({"duration": -HOUR}, "more than 0"),
        ({"duration": timedelta(days=367)}, "366 days at most"),
        ({"duration": 25 * HOUR}, "it begins again after 1 day, 0:00:00: shorten it"),
        (
            {"rrule": "FREQ=WEEKLY;BYDAY=MO,TU", "duration": 30 * HOUR},
            "it begins again after 1 day, 0:00:00",
        ),
        ({"dtstart": datetime(2026, 1, 1, tzinfo=UTC)}, "without an offset"),
        ({"dtstart": datetime(1, 1, 1)}, "from 1970 on"),  # noqa: DTZ001
        ({"selector": "ring/one"}, "selector 'ring/one' is none: write all, ring/2"),
        ({"selector": ""}, "selector '' is none"),
    ],
    ids=str,
)
def test_a_window_that_cannot_be_is_refused_with_what_is_wrong(
    changed: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=r"^change window 'nightly': ") as refused:
        check_calendar(Calendar((replace(NIGHTLY, **changed),)))  # type: ignore[arg-type]

    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("calendar", "says"),
    [
        (Calendar((NIGHTLY, NIGHTLY)), "change windows are named twice: nightly"),
        (Calendar((replace(NIGHTLY, name=""),)), "one of the change windows has no name"),
        (
            Calendar((NIGHTLY,) * (MOST_ENTRIES + 1)),
            "201 change windows are too many: 200 at most",
        ),
        (Calendar(freezes=(freeze("2026-02-01", "2026-02-01"),)), "freeze 'year end': until"),
        (
            Calendar(freezes=(replace(freeze("2026-02-01", "2026-02-02"), selector="x"),)),
            "freeze 'year end': selector 'x' is none",
        ),
        (
            Calendar(blockers=(replace(incident("2026-02-01"), since=datetime(2026, 1, 1)),)),  # noqa: DTZ001
            "blocker 'INC-7': since 2026-01-01T00:00:00 has no offset",
        ),
    ],
    ids=["twice", "nameless", "too many", "empty freeze", "selector", "no offset"],
)
def test_a_calendar_that_cannot_be_is_refused_with_what_is_wrong(
    calendar: Calendar, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        check_calendar(calendar)


ZONES = [BERLIN, NEW_YORK, "UTC", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(  # noqa: DTZ001
    lambda at: at.replace(tzinfo=UTC, microsecond=0)
)
local_times = st.datetimes(datetime(2015, 1, 1), datetime(2027, 12, 31)).map(  # noqa: DTZ001
    lambda at: at.replace(second=0, microsecond=0)
)
day_sets = st.sets(st.sampled_from(DAYS), min_size=1).map(lambda days: ",".join(sorted(days)))
selectors = st.sampled_from(["all", "ring/1", "ring/2", "cell/aws-us-east-1-c1"])


@st.composite
def windows(draw: st.DrawFn, number: int) -> ChangeWindow:
    """A window that begins on some days of the week, and may last until its next beginning."""
    days = draw(st.sampled_from([",".join(DAYS), "SA", "MO,WE", "TU,WE,TH"]))
    longest = 7 * 24 if days == "SA" else 24
    return ChangeWindow(
        f"w{number}",
        f"FREQ=WEEKLY;BYDAY={days}",
        draw(local_times),
        timedelta(minutes=draw(st.integers(min_value=1, max_value=longest * 60))),
        draw(st.sampled_from(ZONES)),
        draw(selectors),
        draw(st.booleans()),
    )


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    def spell() -> tuple[datetime, datetime]:
        begins = draw(moments)
        return begins, begins + timedelta(hours=draw(st.integers(min_value=1, max_value=2000)))

    return Calendar(
        tuple(draw(windows(n)) for n in range(draw(st.integers(min_value=0, max_value=4)))),
        tuple(
            Blocker(f"b{n}", "why", "sre", *spell(), draw(selectors), draw(st.booleans()))
            for n in range(draw(st.integers(min_value=0, max_value=2)))
        ),
        freezes=tuple(
            Freeze(f"f{n}", "why", *spell(), draw(selectors))
            for n in range(draw(st.integers(min_value=0, max_value=2)))
        ),
    )


durations = st.integers(min_value=0, max_value=48 * 60).map(lambda n: timedelta(minutes=n))
shares = st.lists(st.floats(min_value=0, max_value=1), min_size=5, max_size=5)


def shows(each: ChangeWindow, at: datetime) -> bool:
    """Say whether the wall clock shows a time of this window, found out day by day."""
    local = at.astimezone(ZoneInfo(each.time_zone)).replace(tzinfo=None)
    days = each.rrule.rpartition("=")[2].split(",")
    for back in range(9):
        begins = datetime.combine(local.date() - back * DAY, each.dtstart.time())
        if (
            DAYS[begins.weekday()] in days
            and each.dtstart <= begins
            and begins <= local < begins + each.duration
        ):
            return True
    return False


@settings(max_examples=200, deadline=None)
@given(calendars(), moments, durations, shares)
def test_whatever_starts_starts_and_ends_where_nothing_closes(
    calendar: Calendar, now: datetime, duration: timedelta, parts: list[float]
) -> None:
    assume(may_start(calendar, CELL, now, duration, True).allowed)

    concerning = ("all", "ring/1", "cell/aws-us-east-1-c1")
    of_cell = [each for each in calendar.windows if each.selector in concerning]
    opening = [each for each in of_cell if each.allow]
    for at in [now, *(now + duration * part for part in parts if part < 1)]:
        assert not any(shows(each, at) for each in of_cell if not each.allow)
        assert not opening or any(shows(each, at) for each in opening)
        for selector, since, until in _spells(calendar):
            assert selector not in concerning or not since <= at < until


def _spells(calendar: Calendar) -> Iterator[tuple[str, datetime, datetime]]:
    for freeze in calendar.freezes:
        yield freeze.selector, freeze.since, freeze.until
    for blocker in calendar.blockers:
        assert blocker.until is not None
        yield blocker.selector, blocker.since, blocker.until


@settings(max_examples=200, deadline=None)
@given(calendars(), moments, durations, shares, st.booleans())
def test_it_starts_when_the_calendar_foretold_and_not_a_moment_before(
    calendar: Calendar, now: datetime, duration: timedelta, parts: list[float], forward: bool
) -> None:
    verdict = may_start(calendar, CELL, now, duration, forward)
    if verdict.allowed:
        assert verdict == Verdict(True)
        return

    until = verdict.until or now + LOOK_AHEAD - duration
    assert verdict.reason
    if verdict.until is not None:
        assert may_start(calendar, CELL, until, duration, forward) == Verdict(True)
    for at in [until - timedelta(seconds=1), *(now + (until - now) * part for part in parts)]:
        if now <= at < until:
            again = may_start(calendar, CELL, at, duration, forward)
            assert not again.allowed
            assert verdict.until is None or again.until == until


@settings(max_examples=200, deadline=None)
@given(calendars(), moments, durations)
def test_whoever_may_go_forward_may_go_back_unless_an_incident_forbids_it(
    calendar: Calendar, now: datetime, duration: timedelta
) -> None:
    back = may_start(calendar, CELL, now, duration, False)

    forbidding = [
        each
        for each in calendar.blockers
        if each.blocks_rollback
        and each.selector != "ring/2"
        and each.since <= now < (each.until or now)
    ]
    assert back.allowed is not bool(forbidding)
    assert back == may_start(replace(calendar, source_ok=False), CELL, now, duration, False)


@st.composite
def rules(draw: st.DrawFn) -> str:
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={freq}", f"INTERVAL={draw(st.integers(min_value=1, max_value=7))}"]
    if freq in ("DAILY", "WEEKLY"):
        parts += draw(st.sampled_from([[], ["BYDAY=MO,TH,SU"], ["BYHOUR=3,15"], ["WKST=SU"]]))
    else:
        parts += draw(
            st.sampled_from(
                [
                    [],
                    ["BYDAY=-1FR"],
                    ["BYDAY=2TU"],
                    ["BYMONTHDAY=1,15,31"],
                    ["BYMONTHDAY=-1"],
                    ["BYDAY=MO,TU,WE,TH,FR", "BYSETPOS=-1"],
                    ["BYMONTH=2", "BYMONTHDAY=29"],
                ]
            )
        )
    return ";".join(parts)


@settings(max_examples=400, deadline=None)
@given(
    rules(),
    st.datetimes(datetime(1999, 1, 1), datetime(2026, 1, 1)) | st.just(datetime(2024, 2, 29, 8)),  # noqa: DTZ001
    moments,
)
def test_a_rule_that_began_years_ago_is_where_it_would_be_if_every_year_was_walked_through(
    rule: str, dtstart: datetime, since: datetime
) -> None:
    dtstart, until = dtstart.replace(microsecond=0), since + timedelta(days=800)

    found = spans(rule, dtstart, HOUR, "UTC", since, until, to_the_last=False)

    walked: Iterator[datetime] = (at.replace(tzinfo=UTC) for at in rrulestr(rule, dtstart=dtstart))
    expected = []
    for at in walked:
        if at >= until:
            break
        if at + HOUR > since:
            expected.append((at, at + HOUR))
    assert found == expected


@settings(max_examples=200, deadline=None)
@given(calendars(), moments, st.integers(min_value=0, max_value=40 * 24), durations, st.booleans())
def test_a_calendar_that_was_foretold_says_the_same(
    calendar: Calendar, now: datetime, hours: int, duration: timedelta, forward: bool
) -> None:
    foretold, at = calendar.foretell(now), now + hours * HOUR
    known_until = min((each.until for each in foretold.foretold), default=at + LOOK_AHEAD)

    said = may_start(foretold, CELL, at, duration, forward)

    meant = may_start(calendar, CELL, at, duration, forward)
    if meant.until is not None and said.until is None:
        assert said.allowed is meant.allowed
        assert meant.until + duration > known_until, "that is later than it knows"
    elif said.until is None and not said.allowed and meant.allowed:
        assert at + duration > known_until
    else:
        assert (said.allowed, said.until) == (meant.allowed, meant.until)
    assert not foretold.windows


def test_a_calendar_that_was_foretold_long_ago_opens_nothing_forward() -> None:
    begun = utc("2026-01-01")
    calendar = Calendar((replace(NIGHTLY, allow=False),), (incident("2026-01-01", "2026-01-02"),))
    foretold = calendar.foretell(begun)
    later = utc("2026-06-01T12:00")
    assert may_start(calendar, CELL, later, HOUR, True).allowed

    verdict = may_start(foretold, CELL, later, HOUR, True)

    assert verdict == Verdict(False, "the calendar was worked out only until 2026-04-11 22:00 UTC")
    assert may_start(foretold, CELL, later, HOUR, False).allowed


def test_what_is_foretold_is_small() -> None:
    calendar = Calendar(tuple(replace(NIGHTLY, name=f"w{n}") for n in range(20)))

    carried = TypeAdapter(Calendar).dump_json(calendar.foretell(utc("2026-01-01")))

    assert len(carried) < 60_000


def test_nobody_writes_what_is_foretold() -> None:
    with pytest.raises(ValueError, match="foretold is worked out from windows"):
        check_calendar(Calendar((NIGHTLY,)).foretell(utc("2026-01-01")))


def test_a_calendar_travels_as_json() -> None:
    calendar = Calendar(
        (NIGHTLY,), (incident("2026-01-01"),), False, (freeze("2026-12-24", "2027-01-04"),)
    )
    adapter = TypeAdapter(Calendar)

    assert adapter.validate_json(adapter.dump_json(calendar)) == calendar


def test_a_pass_over_ten_thousand_cells_evaluates_each_window_once() -> None:
    """It takes 25 ms on a quiet machine; each cell's windows anew would take 20 seconds."""
    selected = ["all", "ring/1", "ring/2", *(f"region/r{n}" for n in range(10)), *("cell/c9",) * 7]
    calendar = Calendar(
        tuple(
            window(f"w{n}", "FREQ=DAILY", f"{n:02}:30", 3, selector=selector, allow=n % 3 > 0)
            for n, selector in enumerate(selected)
        )
    )
    check_calendar(calendar)
    cells = [Cell(f"c{n}", ("aws", "gcp")[n % 2], f"r{n % 30}", n % 4) for n in range(10_000)]

    def one_pass() -> float:
        began = time.perf_counter()
        at = calendar.at(utc("2026-11-22T05:00"))
        for cell in cells:
            at.may_start(cell, HOUR, True)
        return time.perf_counter() - began

    assert min(one_pass() for _ in range(5)) < 1
