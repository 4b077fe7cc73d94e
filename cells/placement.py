"""Which cell takes a namespace, and why not the others: filter, score, explain. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cells.types import SYNTHETIC_RING, Capacity, CellCondition, CellView
from controlplane.resource import ConditionStatus


@dataclass(frozen=True)
class Verdict:
    """What placement thinks of one cell: a score, or the reasons why it is out."""

    cell: str
    score: float | None
    reasons: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return self.score is not None


@dataclass(frozen=True)
class Placement:
    """A decision and its explanation. `cell` is None when no cell can take the namespace."""

    region: str
    cell: str | None
    verdicts: tuple[Verdict, ...]
    """One per cell, best first, then those that are out, by id."""


def place(
    region: str,
    demand: Capacity,
    cells: Sequence[CellView],
    *,
    beside: Collection[str] = (),
    only: str = "",
) -> Placement:
    """Choose the fitting cell with the most headroom left on its tightest dimension.

    `beside` are cells that have a replica already: neither they are chosen, nor what fails together
    with them. With `only`, no other cell is. The same cells in any order give the same decision;
    ties go to the smaller id.
    """
    taken = {failure_domain(cell): cell.id for cell in cells if cell.id in beside}
    verdicts = sorted(
        (_judge(region, demand, cell, taken, only) for cell in cells),
        key=lambda v: (v.score is None, -(v.score or 0.0), v.cell),
    )
    chosen = next((v.cell for v in verdicts if v.fits), None)
    return Placement(region, chosen, tuple(verdicts))


def without(placement: Placement, cell: str, reason: str) -> Placement:
    """Return the decision with `cell` out of the running for `reason`, say a lost race."""
    lost = Verdict(cell, None, (reason,))
    others = [v for v in placement.verdicts if v.cell != cell]
    verdicts = [v for v in others if v.fits] + sorted(
        [v for v in others if not v.fits] + [lost], key=lambda v: v.cell
    )
    chosen = next((v.cell for v in verdicts if v.fits), None)
    return Placement(placement.region, chosen, tuple(verdicts))


def explain_refusal(placement: Placement) -> str:
    """Say in one sentence per cell why nothing fits."""
    if not placement.verdicts:
        return f"no cell can take a namespace in {placement.region}: the fleet has no cells"
    reasons = "; ".join(f"{v.cell}: {', '.join(v.reasons)}" for v in placement.verdicts)
    return f"no cell can take a namespace in {placement.region}: {reasons}"


def failure_domain(cell: CellView) -> str:
    """Return the name of what fails together with the cell: at least itself."""
    return cell.spec.failure_domain or cell.id


def _judge(
    region: str, demand: Capacity, cell: CellView, taken: Mapping[str, str], only: str
) -> Verdict:
    obstacles = _obstacles(region, demand, cell)
    if (other := taken.get(failure_domain(cell))) is not None:
        obstacles.append(
            "has a replica already" if other == cell.id else f"fails together with {other}"
        )
    if only and cell.id != only:
        obstacles.append(f"is not {only}")
    if obstacles:
        return Verdict(cell.id, None, tuple(obstacles))
    score, tightest = _headroom(demand, cell)
    return Verdict(cell.id, score, (f"{score:.1%} of its {tightest} stay free",))


def _obstacles(region: str, demand: Capacity, cell: CellView) -> list[str]:
    obstacles = []
    if cell.spec.region != region:
        obstacles.append(f"is in {cell.spec.region}")
    if cell.spec.ring == SYNTHETIC_RING:
        obstacles.append(f"ring {SYNTHETIC_RING} holds synthetic load only")
    if cell.cordon is not None:
        obstacles.append(f"cordoned by {cell.cordon.by}: {cell.cordon.reason}")
    if cell.quarantine is not None:
        obstacles.append(f"quarantined by {cell.quarantine.by}: {cell.quarantine.reason}")
    if cell.visit is not None:
        obstacles.append(f"being brought to {cell.visit.release} ({cell.visit.phase})")
    ready = cell.conditions.get(CellCondition.READY)
    if ready is None:
        obstacles.append("not validated yet")
    elif ready.status != ConditionStatus.TRUE:
        obstacles.append(f"not ready: {ready.message or ready.reason}")
    obstacles.extend(cell.free.shortages(demand))
    return obstacles


def _headroom(demand: Capacity, cell: CellView) -> tuple[float, str]:
    """Return what stays free of the tightest dimension, from 0 to 1, and its name."""
    left, offered = cell.free - demand, cell.spec.capacity
    return min(
        (left.namespaces / offered.namespaces, "namespaces"),
        (left.actions_per_second / offered.actions_per_second, "actions per second"),
    )
