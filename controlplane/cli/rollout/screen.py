"""A rollout on a screen: rings and cells, budgets, bakes, what it waits for, what happened."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from cells.types import CellView
from cells.visits.types import Visit, VisitPhase
from controlplane.cli.durations import rough
from controlplane.cli.rollout.rings import ring_lines
from controlplane.cli.rollout.words import (
    SUCCEEDED,
    UNDER_WAY,
    event_line,
    how_it_is,
    needs_a_person,
    when,
)
from rollout.policy import Lane
from rollout.types import CellStatus, Event, Phase, RolloutView, Wait, WaitCode

_MOST_ROWS = 8
"""Of any list on the screen."""
_TITLE = 2
"""The lines before a list."""
_MOST_LINES = 3 * (_MOST_ROWS + _TITLE)
_LEAST_FOR_LISTS = 10
_LEAST_OF_A_LIST = 2
"""One row, and how many there are besides."""


@dataclass(frozen=True)
class Look:
    """What was seen of a rollout, and of its cells, at one time."""

    rollout: RolloutView
    visits: Mapping[str, Visit] = field(default_factory=dict)
    """Those under way, by cell."""

    @classmethod
    def at(cls, rollout: RolloutView, cells: Sequence[CellView]) -> "Look":
        visits = {cell.id: cell.visit for cell in cells if cell.visit is not None}
        return cls(rollout, visits)

    @property
    def phases(self) -> Mapping[str, VisitPhase]:
        """Those of the visits under way, by cell."""
        return {cell: visit.phase for cell, visit in self.visits.items()}


@dataclass(frozen=True)
class Screen:
    """A look that fits itself into the width of a terminal, and into the height that is given."""

    look: Look
    now: datetime
    height: int | None = None

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield rendered(self.look, self.now, options.max_width, self.height)


def rendered(look: Look, now: datetime, width: int, height: int | None = None) -> RenderableType:
    """Return all there is to see, cut to the width; lists give way to the height, where given."""
    rollout = look.rollout
    fixed = [*_heading(rollout, now), *_eta(rollout, now), *ring_lines(rollout, look.phases, width)]
    lists = [_under_way(look, now), _waits(rollout.waits, now), _events(rollout.events)]
    lines = fixed if height is None else _without_gaps(fixed, height - _LEAST_FOR_LISTS)
    room = _MOST_LINES if height is None else height - 1 - len(lines)
    told = [(title, rows) for title, rows in lists if rows]
    for number, (title, rows) in enumerate(told):
        most = room // (len(told) - number) - _TITLE
        if most >= min(len(rows), _LEAST_OF_A_LIST):
            shown = _shortened(rows, min(most, _MOST_ROWS))
            lines = [*lines, Text(), Text(title, "bold"), *shown]
            room -= len(shown) + _TITLE
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _heading(rollout: RolloutView, now: datetime) -> Iterator[Text]:
    title = Text().append(f"Rollout {rollout.id}", "bold")
    if rollout.release != rollout.id:
        title.append(f" of release {rollout.release}")
    title.append(f", server {rollout.server_version}: ")
    title.append(how_it_is(rollout), _style(rollout))
    if rollout.lane is not Lane.NORMAL:
        title.append(f"  {rollout.lane} lane", "bold yellow")
    yield title
    if (emergency := rollout.emergency) is not None:
        declared = f"Emergency declared by {emergency.actor}: {emergency.reason}; "
        left = f"until {when(emergency.until, now)}, then the ordinary rules hold"
        yield Text(declared + (f"over: {emergency.closed}" if emergency.closed else left), "yellow")
    began = rollout.started_at
    if began is not None:
        lasted = rough((rollout.ended_at or now) - began)
        so_long = f"took {lasted}" if rollout.ended_at else f"for {lasted}"
        yield Text(f"by {rollout.actor}, {so_long}: {rollout.reason}", "dim")
    if rollout.message:
        yield Text(rollout.message)
    if told := needs_a_person(rollout):
        yield Text(told, "bold red" if rollout.phase is Phase.HALTED else "bold yellow")
    for cell, how in sorted(rollout.drifted.items())[:_MOST_ROWS]:
        yield Text(f"{cell} was changed by hand: {how}", "yellow")
    for region, why in sorted(rollout.confounded.items()):
        yield Text(f"Nothing starts in {region}: {why}", "bold yellow")


def _under_way(look: Look, now: datetime) -> tuple[str, list[Text]]:
    rows = []
    cells = look.rollout.cells
    for cell in sorted(cell for cell, each in cells.items() if each.status in UNDER_WAY):
        progress, visit = cells[cell], look.visits.get(cell)
        phase, since, said = "starting", progress.since, progress.message
        if visit is not None and visit.id == progress.visit:
            phase, since, said = str(visit.phase), visit.since, visit.message
        if progress.status is CellStatus.REVERTING:
            phase = f"{phase} (back)"
        lasts = rough(now - since) if since is not None else ""
        rows.append(Text(f"  {cell:<24} {phase:<16} {lasts:>7}  {said}".rstrip()))
    return "Under way", rows


def _waits(waits: Sequence[Wait], now: datetime) -> tuple[str, list[Text]]:
    """Say what is waited for: a line for each reason, those of later rings last."""
    by_code: dict[WaitCode, list[Wait]] = {}
    for wait in waits:
        by_code.setdefault(wait.code, []).append(wait)
    ordered = sorted(by_code.values(), key=lambda group: group[0].code is WaitCode.RING)
    rows = []
    for group in ordered:
        first = group[0]
        who = first.cell if len(group) == 1 else f"{len(group)} cells"
        untils = [wait.until for wait in group if wait.until is not None]
        until = f" (until {when(min(untils), now)})" if untils else ""
        rows.append(Text(f"  {who:<24} {first.code:<16} {first.message}{until}"))
    return "Waits for", rows


def _events(events: Sequence[Event]) -> tuple[str, list[Text]]:
    latest = sorted(events, key=lambda event: event.number)[-_MOST_ROWS:]
    return "Latest", [Text(f"  {event_line(event)}") for event in reversed(latest)]


def _eta(rollout: RolloutView, now: datetime) -> Iterator[Text]:
    if rollout.phase is Phase.ENDED or rollout.eta_p50 is None:
        return
    text = f"Through in about {rough(rollout.eta_p50 - now)}: {when(rollout.eta_p50, now)} (p50)"
    if rollout.eta_p90 is not None:
        text += f", {when(rollout.eta_p90, now)} (p90)"
    yield Text(text)


def _without_gaps(lines: list[Text], height: int) -> list[Text]:
    """Return the lines, without empty ones if they are too many."""
    return lines if len(lines) <= height else [line for line in lines if line.plain]


def _shortened(rows: list[Text], most: int) -> list[Text]:
    if len(rows) <= most:
        return rows
    kept = rows[: most - 1]
    return [*kept, Text(f"  and {len(rows) - len(kept)} more", "dim")]


def _style(rollout: RolloutView) -> str:
    if rollout.outcome is not None:
        return "bold green" if rollout.outcome in SUCCEEDED else "bold red"
    if rollout.phase is Phase.HALTED or rollout.blocked:
        return "bold red"
    return "bold yellow" if rollout.paused_by else "bold cyan"
