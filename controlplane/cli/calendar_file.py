"""Calendar files: change windows and freezes, in YAML or JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from controlplane.cli.documents import called, read_documents
from controlplane.cli.durations import duration_text
from controlplane.cli.failures import UsageError
from controlplane.cli.shapes import read_as
from rollout.calendar import EVERYWHERE, Calendar, ChangeWindow, Freeze, check_calendar

HEADER = """\
# When cells may be changed. Incidents are not in here: `controlplane calendar block`.
#
# windows:                              # times that come again and again
#   - name: nights                      # cells that a window concerns wait outside of it
#     rrule: FREQ=WEEKLY;BYDAY=MO,TU,WE,TH
#     dtstart: 2026-01-05T22:00         # the first time, by the wall clock of time_zone
#     duration: 8h
#     time_zone: Europe/Berlin
#     selector: ring/2                  # all, ring/2, provider/aws, region/…, cell/…
#     allow: true                       # false: closed then, and open otherwise
# freezes:                              # once, nothing starts
#   - name: year-end
#     reason: no changes over the holidays
#     since: 2026-12-20T00:00:00Z
#     until: 2027-01-04T00:00:00Z
"""


@dataclass(frozen=True)
class CalendarFile:
    """What a file says of the calendar."""

    windows: tuple[ChangeWindow, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    revision: int | None = None
    """The one it was made from; None: whichever there is."""


def read_calendar_file(file: Path) -> CalendarFile:
    """Return what the file says; raise UsageError, naming what is wrong and where."""
    documents = list(read_documents(file)) or [{}]
    return _read(documents[0] if len(documents) == 1 else documents, called(file))


def read_calendar_text(text: str) -> CalendarFile:
    """Return what somebody has edited; raise UsageError as `read_calendar_file` does."""
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"what you wrote is no YAML: {error}") from error
    return _read(document, "what you wrote")


def calendar_text(calendar: Calendar, revision: int) -> str:
    """Return windows and freezes as a file that `read_calendar_file` reads."""
    document = {
        "revision": revision,
        "windows": [_plain(window) for window in calendar.windows],
        "freezes": [_plain(freeze) for freeze in calendar.freezes],
    }
    return HEADER + "\n" + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def differences(now: Calendar, wanted: CalendarFile) -> list[str]:
    """Return which windows and freezes come, go and change, a line for each."""
    return [
        *_differing("change window", now.windows, wanted.windows),
        *_differing("freeze", now.freezes, wanted.freezes),
    ]


def _read(document: object, source: str) -> CalendarFile:
    found = read_as(CalendarFile, document, source)
    try:
        check_calendar(Calendar(windows=found.windows, freezes=found.freezes))
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from error
    return found


def _differing(
    what: str, now: Sequence[ChangeWindow | Freeze], wanted: Sequence[ChangeWindow | Freeze]
) -> list[str]:
    before = {each.name: each for each in now}
    after = {each.name: each for each in wanted}
    return [
        *(f"+ {what} {each}" for each in after if each not in before),
        *(f"- {what} {each}" for each in before if each not in after),
        *(f"~ {what} {each}" for each in after if each in before and after[each] != before[each]),
    ]


def _plain(entry: ChangeWindow | Freeze) -> dict[str, object]:
    """Return what differs from the defaults of an entry, as people write it."""
    found: dict[str, object] = {}
    for field in fields(entry):
        value = getattr(entry, field.name)
        if value in (EVERYWHERE, True) and value == field.default:
            continue
        if isinstance(value, timedelta):
            value = duration_text(value)
        elif isinstance(value, datetime):
            value = value.isoformat()
        found[field.name] = value
    return found
