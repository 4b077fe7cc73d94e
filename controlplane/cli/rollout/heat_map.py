"""Cells as marks in a row, a few columns for however many there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from rich.text import Text

from cells.visits.types import VisitPhase
from rollout.types import CellProgress, CellStatus

MOST_LINES = 3
"""What a ring takes of the screen; beyond that, a mark stands for several cells."""


@dataclass(frozen=True)
class Mark:
    glyph: str
    style: str
    means: str


_OF_STATUS = {
    CellStatus.BROKEN: Mark("!", "bold white on red", "broken"),
    CellStatus.FAILED: Mark("✗", "bold red", "failed, undone"),
    CellStatus.REVERTING: Mark("◂", "magenta", "going back"),
    CellStatus.VISITING: Mark("▸", "cyan", "under way"),
    CellStatus.DEFERRED: Mark("~", "yellow", "deferred"),
    CellStatus.WAITING: Mark("·", "dim", "waiting"),
    CellStatus.REVERTED: Mark("↩", "magenta", "went back"),
    CellStatus.SKIPPED: Mark("-", "dim", "skipped"),
    CellStatus.DONE: Mark("●", "green", "done"),
    CellStatus.GONE: Mark(" ", "", "gone"),
}
"""The most worth seeing first: of several cells, that one is shown."""
_OF_PHASE = {
    VisitPhase.PREFLIGHT: Mark("p", "cyan", "preflight"),
    VisitPhase.SCHEMA: Mark("m", "cyan", "schema"),
    VisitPhase.SERVER: Mark("s", "bold cyan", "server"),
    VisitPhase.VERIFY: Mark("v", "bold blue", "verify"),
    VisitPhase.UNDO: Mark("u", "bold yellow", "undo"),
}
_UNDER_WAY = frozenset({CellStatus.VISITING, CellStatus.REVERTING})
_RANK = {status: rank for rank, status in enumerate(_OF_STATUS)}


@dataclass(frozen=True)
class HeatMap:
    """The marks of a ring's cells, and how many of them one stands for."""

    marks: tuple[Mark, ...]
    each: int

    def lines(self, width: int) -> Text:
        """Return the marks, wrapped to the width."""
        rows = [self.marks[i : i + width] for i in range(0, len(self.marks), width)]
        text = Text()
        for number, row in enumerate(rows):
            text.append("\n" if number else "")
            for mark in row:
                text.append(mark.glyph, mark.style)
        return text


def heat_map(
    cells: Mapping[str, CellProgress], phases: Mapping[str, VisitPhase], width: int
) -> HeatMap:
    """Return the marks of these cells, by id, in lines of this width.

    `phases` are those of the visits under way, by cell.
    """
    each = max(1, ceil(len(cells) / (width * MOST_LINES)))
    ids = sorted(cells)
    groups = [ids[i : i + each] for i in range(0, len(ids), each)]
    return HeatMap(tuple(_of_group(cells, phases, group) for group in groups), each)


def legend(maps: Sequence[HeatMap], width: int) -> Iterator[Text]:
    """Yield what the marks mean that are there, in lines of this width."""
    shown = {mark for each in maps for mark in each.marks if mark.glyph.strip()}
    line = Text()
    for mark in (*_OF_PHASE.values(), *_OF_STATUS.values()):
        if mark not in shown:
            continue
        told = Text().append(mark.glyph, mark.style).append(f" {mark.means}", "dim")
        if line and line.cell_len + 3 + told.cell_len > width:
            yield line
            line = Text()
        line.append("   " if line else "").append_text(told)
    yield line


def mark_of(progress: CellProgress, phase: VisitPhase | None) -> Mark:
    """Return the mark of one cell; one under way shows the phase of its visit, where known."""
    if progress.status in _UNDER_WAY and phase in _OF_PHASE:
        return _OF_PHASE[phase]
    return _OF_STATUS[progress.status]


def _of_group(
    cells: Mapping[str, CellProgress], phases: Mapping[str, VisitPhase], group: Sequence[str]
) -> Mark:
    shown = min(group, key=lambda cell: _RANK[cells[cell].status])
    return mark_of(cells[shown], phases.get(shown))
