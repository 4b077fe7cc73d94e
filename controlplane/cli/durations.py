"""Lengths and points of time as people write them: `90s`, `1h30m`, `3d`; `2026-12-01T09:00`."""

import re
from datetime import datetime, timedelta

HOW_TO_WRITE = "write it like 90s, 15m, 1h30m or 3d"

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([wdhms])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_WRITTEN_WITH = "dhm"


def read_duration(text: str) -> timedelta:
    """Return the length that the text says; raise ValueError, with the remedy, for another text."""
    if text == "0":
        return timedelta(0)
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no length of time: {HOW_TO_WRITE}")
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if len(set(units)) < len(units):
        raise ValueError(f"{text!r} names a unit twice: {HOW_TO_WRITE}")
    try:
        return sum((_UNITS[unit] * float(number) for number, unit in parts), timedelta(0))
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than there are days") from error


def duration_text(length: timedelta) -> str:
    """Return a length as `read_duration` reads it."""
    if length < timedelta(0):
        return f"-{duration_text(-length)}"
    parts = []
    rest = length
    for unit in _WRITTEN_WITH:
        number, rest = divmod(rest, _UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    seconds = f"{rest.total_seconds():.6f}".rstrip("0").rstrip(".")
    if seconds != "0":
        parts.append(f"{seconds}s")
    return "".join(parts) or "0s"


def rough(length: timedelta) -> str:
    """Return a length as it is read in passing, in its two greatest units at most: `2d3h`."""
    whole = timedelta(seconds=round(length.total_seconds()))
    return "".join(re.findall(r"\d+[dhms]", duration_text(abs(whole)))[:2])


def read_moment(text: str, now: datetime) -> datetime:
    """Return a point in time: `2h` is in two hours, `2026-12-01T09:00` is in local time.

    Raise ValueError, with the remedy, for another text and for what is past.
    """
    try:
        at = now + read_duration(text)
    except (ValueError, OverflowError):
        try:
            at = datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{text!r} is no point in time: write how long from now, as in 2h or 3d, or when, "
                "as in 2026-12-01T09:00"
            ) from error
    if at <= now:
        raise ValueError(f"{text!r} is not in the future")
    return at
