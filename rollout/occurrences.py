"""When the wall clock of a time zone shows a time that a recurrence rule names.

A span is what the wall clock shows: one of eight hours from 22:00 is over when the clock shows
06:00, also in the nights in which the clock is put forward or back, and one of 24 hours is a day.
A time that the clock skips counts as the moment at which it skips; of a time that it shows twice,
the first counts, unless the last is asked for.
"""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

LONGEST = timedelta(days=366)
MOST_REPEATS = 1000
"""The highest COUNT and INTERVAL."""
YEARS = range(1970, 3000)
_COMPARED = 400
"""So many occurrences from the first are looked at to see whether spans overlap."""
_CLOCK_DIFFERS = timedelta(days=2)
"""More than any clock differs from UTC, or was ever put forward or back."""

Span = tuple[datetime, datetime]
"""From, and until but not including, UTC."""

_LIST = r"(?:{0})(?:,(?:{0}))*"
_PARTS = {
    "FREQ": "YEARLY|MONTHLY|WEEKLY|DAILY",
    "INTERVAL": r"[1-9]\d{0,3}",
    "COUNT": r"[1-9]\d{0,3}",
    "UNTIL": r"\d{8}(?:T\d{6}Z?)?",
    "BYMONTH": _LIST.format(r"[1-9]|1[0-2]"),
    "BYMONTHDAY": _LIST.format(r"-?(?:[1-9]|[12]\d|3[01])"),
    "BYDAY": _LIST.format(r"(?:[+-]?[1-5])?(?:MO|TU|WE|TH|FR|SA|SU)"),
    "BYHOUR": _LIST.format(r"1?\d|2[0-3]"),
    "BYMINUTE": _LIST.format(r"[1-5]?\d"),
    "BYSETPOS": _LIST.format(r"-?[1-9]\d?"),
    "WKST": "MO|TU|WE|TH|FR|SA|SU",
}
_DAYS_OF_MONTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def check_spans(rule: str, dtstart: datetime, duration: timedelta, time_zone: str) -> None:
    """Raise ValueError, naming the value and the remedy, for spans that cannot be."""
    check_zone(time_zone)
    if dtstart.tzinfo is not None or dtstart.year not in YEARS:
        raise ValueError(
            f"dtstart is {dtstart.isoformat()}: write a time as the wall clock shows it, without "
            f"an offset, from {YEARS.start} on"
        )
    if not timedelta(0) < duration <= LONGEST:
        raise ValueError(f"duration is {duration}: more than 0, and {LONGEST.days} days at most")
    _check_rule(rule)
    first = list(islice(_occurrences(rule, dtstart, time_zone, dtstart), _COMPARED))
    if not first:
        raise ValueError(f"rrule {rule!r} never occurs from {dtstart.isoformat()} on")
    apart = min((later - earlier for earlier, later in pairwise(first)), default=LONGEST)
    if duration > apart:
        raise ValueError(
            f"duration is {duration}, and it begins again after {apart}: shorten it, or let it "
            "begin less often"
        )


def check_zone(time_zone: str) -> None:
    """Raise ValueError for a time zone that nobody here has heard of."""
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"time_zone {time_zone!r} is unknown: write one like Europe/Berlin or UTC"
        ) from None


def spans(
    rule: str,
    dtstart: datetime,
    duration: timedelta,
    time_zone: str,
    since: datetime,
    until: datetime,
    *,
    to_the_last: bool,
) -> list[Span]:
    """Return the spans that touch the time from `since` until `until`, in order.

    `to_the_last` lets each end when the clock shows its end for the last time.
    """
    clock = ZoneInfo(time_zone)
    earliest = since.astimezone(clock).replace(tzinfo=None) - duration - _CLOCK_DIFFERS
    found = []
    for local in _occurrences(rule, dtstart, time_zone, earliest):
        begins = _shown(local, clock)
        if begins >= until:
            break
        ends = _shown(local + duration, clock, last=to_the_last)
        if begins < ends and since < ends:
            found.append((begins, ends))
    return found


def _occurrences(
    rule: str, dtstart: datetime, time_zone: str, earliest: datetime
) -> Iterator[datetime]:
    """Yield the times on the wall clock from `earliest` on, and perhaps some before it."""
    return iter(
        _parsed(rule, dtstart, time_zone).replace(dtstart=_caught_up(rule, dtstart, earliest))
    )


@lru_cache(maxsize=1024)
def _parsed(rule: str, dtstart: datetime, time_zone: str) -> rrule:
    parts = _parts(rule)
    if "UNTIL" in parts:
        parts["UNTIL"] = _wall_time(parts["UNTIL"], ZoneInfo(time_zone))
    parsed = rrulestr(";".join(map("=".join, parts.items())), dtstart=dtstart)
    assert isinstance(parsed, rrule), "its parts make one rule, not a set of them"
    return parsed


def _parts(rule: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in rule.upper().split(";"))


def _wall_time(until: str, clock: ZoneInfo) -> str:
    """Return UNTIL as the wall clock shows it: it may be written in UTC, or be a whole day."""
    if until.endswith("Z"):
        instant = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return instant.astimezone(clock).strftime("%Y%m%dT%H%M%S")
    return until if "T" in until else f"{until}T235959"


def _caught_up(rule: str, dtstart: datetime, earliest: datetime) -> datetime:
    """Return a start that leaves out what comes long before `earliest`, and changes nothing else.

    A rule is walked through from its start, which may be years ago; whole intervals later it is in
    the same phase. Only one that counts has to be walked through.
    """
    parts = _parts(rule)
    if earliest <= dtstart or "COUNT" in parts:
        return dtstart
    interval = int(parts.get("INTERVAL", "1"))
    match parts["FREQ"]:
        case "DAILY" | "WEEKLY" as freq:
            step = interval if freq == "DAILY" else 7 * interval
            return dtstart + timedelta(days=(earliest - dtstart).days // step * step)
        case freq:
            step = interval if freq == "YEARLY" else math.lcm(interval, 12) // 12
            years = (earliest.year - 1 - dtstart.year) // step * step
            while years > 0:
                try:
                    return dtstart.replace(year=dtstart.year + years)
                except ValueError:  # No leap year.
                    years -= step
            return dtstart


def _shown(local: datetime, clock: ZoneInfo, *, last: bool = False) -> datetime:
    """Return when the clock shows this time, or skips it."""
    first = local.replace(tzinfo=clock, fold=0).astimezone(UTC)
    second = local.replace(tzinfo=clock, fold=1).astimezone(UTC)
    if second >= first:
        return second if last else first
    # Skipped: `first` reckons with the offset before the skip, `second` with the one after it.
    before, after = second, first
    shifted = after.astimezone(clock).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(clock).utcoffset() == shifted:
            after = middle
        else:
            before = middle
    return after


def _check_rule(rule: str) -> None:
    parts: dict[str, str] = {}
    for part in rule.upper().split(";"):
        key, _, value = part.partition("=")
        if key not in _PARTS:
            raise ValueError(f"rrule {rule!r} has {part!r} in it: use {', '.join(_PARTS)}")
        if key in parts:
            raise ValueError(f"rrule {rule!r} has {key} twice: name it once")
        if not re.fullmatch(_PARTS[key], value, re.ASCII):
            raise ValueError(f"rrule {rule!r}: {value!r} is no value of {key} (RFC 5545, 3.3.10)")
        parts[key] = value
    if "FREQ" not in parts:
        raise ValueError(f"rrule {rule!r} says no FREQ: add for example FREQ=WEEKLY")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError(f"rrule {rule!r} has COUNT and UNTIL: use one of them")
    for key in ("COUNT", "INTERVAL"):
        if int(parts.get(key, "1")) > MOST_REPEATS:
            raise ValueError(f"rrule {rule!r}: {key} is {parts[key]}, {MOST_REPEATS} at most")
    short = parts["FREQ"] in ("DAILY", "WEEKLY")
    if short and ("BYSETPOS" in parts or any(c.isdigit() for c in parts.get("BYDAY", ""))):
        raise ValueError(
            f"rrule {rule!r}: BYSETPOS and numbered days are for FREQ=MONTHLY and YEARLY"
        )
    if parts["FREQ"] == "WEEKLY" and "BYMONTHDAY" in parts:
        raise ValueError(f"rrule {rule!r}: BYMONTHDAY is not for FREQ=WEEKLY (RFC 5545, 3.3.10)")
    _check_days(rule, parts)
    try:
        _parsed(rule, datetime(2000, 1, 1), "UTC")  # noqa: DTZ001 - as the wall clock shows it.
    except (ValueError, TypeError) as error:  # Such as a day that no month has, in UNTIL.
        raise ValueError(f"rrule {rule!r} cannot be read: {error}") from None


def _check_days(rule: str, parts: dict[str, str]) -> None:
    """Refuse days that none of the months has: a search for one would be long, and in vain."""
    if "BYMONTHDAY" not in parts or "BYMONTH" not in parts:
        return
    longest = max(_DAYS_OF_MONTHS.get(int(month), 31) for month in parts["BYMONTH"].split(","))
    if all(abs(int(day)) > longest for day in parts["BYMONTHDAY"].split(",")):
        raise ValueError(f"rrule {rule!r} never occurs: no such month has such a day")
