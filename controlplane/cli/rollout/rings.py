"""The rings of a rollout: a map of their cells, what is left of their budgets, their bakes."""

from collections.abc import Iterator, Mapping

from rich.text import Text

from cells.visits.types import VisitPhase
from controlplane.cli.rollout.gauges import bake_line, budget_gauge
from controlplane.cli.rollout.heat_map import HeatMap, heat_map, legend
from controlplane.cli.rollout.words import UNDER_WAY
from rollout.types import CellProgress, CellStatus, RingProgress, RolloutView

_INDENT = 8
_WORTH_TELLING = (
    CellStatus.FAILED,
    CellStatus.BROKEN,
    CellStatus.DEFERRED,
    CellStatus.SKIPPED,
    CellStatus.REVERTED,
)


def ring_lines(
    rollout: RolloutView, phases: Mapping[str, VisitPhase], width: int
) -> Iterator[Text]:
    """Yield ring by ring what there is to see; `phases` are of visits under way, by cell."""
    members = _by_ring(rollout.cells)
    maps: list[HeatMap] = []
    for ring in sorted(members.keys() | rollout.rings.keys()):
        cells = members.get(ring, {})
        yield Text()
        yield from _how_far(rollout, ring, cells, width)
        if cells:
            marks = heat_map(cells, phases, max(width - _INDENT, 1))
            maps.append(marks)
            for line in marks.lines(max(width - _INDENT, 1)).split("\n"):
                yield Text(" " * _INDENT).append_text(line)
        for bake in _bakes(rollout.rings.get(ring)):
            yield Text(" " * _INDENT).append_text(bake)
    most = max((each.each for each in maps), default=1)
    yield Text()
    yield from legend(maps, width)
    if most > 1:
        yield Text(f"a mark stands for up to {most} cells, and shows the worst of them", "dim")


def _bakes(ring: RingProgress | None) -> Iterator[Text]:
    """Yield the bakes of a ring that are not over."""
    if ring is None:
        return
    if ring.bake is not None and not ring.baked:
        yield bake_line(ring.bake, "ring bake" if ring.bakes_ring else "bake")
    if ring.late_bake is not None:
        yield bake_line(ring.late_bake, f"bake of {ring.late}")


def _how_far(
    rollout: RolloutView, ring: int, cells: Mapping[str, CellProgress], width: int
) -> Iterator[Text]:
    """Yield how far the ring is and what is left of its budget: in one line, where that fits."""
    line = Text().append(f"{f'Ring {ring}':<{_INDENT}}", "bold" if ring == rollout.ring else "")
    line.append(_told_statuses(cells))
    progress = rollout.rings.get(ring)
    if progress is not None and progress.baked:
        line.append(", baked", "green")
    if progress is not None and progress.approvals:
        line.append(f", approved by {', '.join(each.actor for each in progress.approvals)}")
    budget = rollout.budgets.get(ring)
    if not budget:
        yield line
        return
    told = Text().append("budget ", "dim").append_text(budget_gauge(budget))
    if line.cell_len + 2 + told.cell_len <= width:
        yield line.append("  ").append_text(told)
    else:
        yield line
        yield Text(" " * _INDENT).append_text(told)


def _told_statuses(cells: Mapping[str, CellProgress]) -> str:
    statuses = [progress.status for progress in cells.values()]
    told = [f"{statuses.count(CellStatus.DONE)} of {len(statuses)} done"]
    if under_way := sum(status in UNDER_WAY for status in statuses):
        told.append(f"{under_way} under way")
    for status in _WORTH_TELLING:
        if number := statuses.count(status):
            told.append(f"{number} {status}")
    return ", ".join(told)


def _by_ring(cells: Mapping[str, CellProgress]) -> dict[int, dict[str, CellProgress]]:
    rings: dict[int, dict[str, CellProgress]] = {}
    for cell, progress in cells.items():
        rings.setdefault(progress.ring, {})[cell] = progress
    return rings
