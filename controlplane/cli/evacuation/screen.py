"""An evacuation on a screen: how far it is, what moves, what waits and why."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from controlplane.cli.durations import rough
from controlplane.cli.evacuation.words import (
    counts_line,
    doing,
    eta_line,
    event_line,
    how_it_is,
    needs_a_person,
    title,
)
from provisioning.evacuation.types import EvacuationView, Outcome, Phase, Status

_BAR = 40
_MOST_ROWS = 8
"""Of any list."""
_DONE = (Status.MOVED, Status.RETURNED, Status.LEFT, Status.GONE)
_UNDER_WAY = (Status.MOVING, Status.RETURNING)


def rendered(view: EvacuationView, now: datetime, height: int) -> RenderableType:
    """Return all there is to see; lists give way to the height."""
    lines = list(_heading(view, now))
    lists = [
        ("Under way", list(_under_way(view, now))),
        ("Waiting", [Text(f"{w.namespace}: {w.message}") for w in view.waits]),
        ("Left where they are", list(_left(view))),
        ("Latest", [Text(event_line(event)) for event in reversed(view.events)]),
    ]
    told = [(name, rows) for name, rows in lists if rows]
    room = max(height - len(lines) - 1, 0)
    for number, (name, rows) in enumerate(told):
        most = min(room // (len(told) - number) - 2, _MOST_ROWS)
        if most >= 1:
            shown = _shortened(rows, most)
            lines += [Text(), Text(name, "bold"), *shown]
            room -= len(shown) + 2
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _heading(view: EvacuationView, now: datetime) -> Iterator[Text]:
    yield Text().append(title(view), "bold").append(": ").append(how_it_is(view), _style(view))
    if view.started_at is not None:
        lasted = rough((view.ended_at or now) - view.started_at)
        so_long = f"took {lasted}" if view.ended_at else f"for {lasted}"
        yield Text(f"by {view.actor}, {so_long}: {view.reason}", "dim")
    if view.message:
        yield Text(view.message)
    yield _bar(view)
    if eta := eta_line(view, now):
        yield Text(eta)
    if asked := needs_a_person(view):
        yield Text(asked, "bold yellow")
    if view.soak_until is not None and view.phase is Phase.SOAKING:
        yield Text(f"They stay away for another {rough(max(view.soak_until - now, now - now))}")


def _bar(view: EvacuationView) -> Text:
    whole = sum(view.counts.values())
    done = sum(view.counts.get(status, 0) for status in _DONE)
    filled = _BAR if not whole else done * _BAR // whole
    bar = Text("█" * filled, "green").append("░" * (_BAR - filled), "dim")
    return bar.append(f" {counts_line(view.counts) or 'no namespaces'}", "default")


def _under_way(view: EvacuationView, now: datetime) -> Iterator[Text]:
    for name, progress in view.namespaces.items():
        if progress.status in _UNDER_WAY:
            began = "" if progress.move is None else f" for {rough(now - progress.move.began_at)}"
            yield Text(f"{name} ({progress.tier}): {doing(progress)}{began}")


def _left(view: EvacuationView) -> Iterator[Text]:
    for name, progress in view.namespaces.items():
        if progress.status is Status.LEFT:
            yield Text(f"{name}: {progress.message or progress.code}", "yellow")


def _shortened(rows: Sequence[Text], most: int) -> list[Text]:
    if len(rows) <= most:
        return list(rows)
    return [*rows[: most - 1], Text(f"… and {len(rows) - most + 1} more", "dim")]


def _style(view: EvacuationView) -> str:
    if view.phase is Phase.ENDED:
        return "bold green" if view.outcome is Outcome.SUCCEEDED else "bold red"
    return "bold yellow" if view.paused_by or view.blocked else "cyan"
