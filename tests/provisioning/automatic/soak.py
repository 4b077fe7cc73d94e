"""A long time with a fleet that nothing happens to, seen through vantage points that err.

`python -m tests.provisioning.automatic.soak [ROUNDS] [SEED]` tells how often anything was failed
over, which is never right: no cell is lost in it.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from provisioning.automatic.sight import CellFacts
from provisioning.automatic.types import Tally, Verdict
from tests.provisioning.automatic.watching import (
    BILLS,
    E1,
    EAST,
    N1,
    N2,
    NORTH,
    ORDERS,
    SECOND,
    W1,
    W2,
    WEST,
    Watched,
    namespace,
)

REGIONS = (EAST, WEST, NORTH)
REPORT_EVERY = 25_000
"""Rounds."""


@dataclass(frozen=True)
class Errors:
    """How often, per round, something begins to err, and for how many rounds it does so."""

    probe: float = 0.02
    """The workers of a region miss a cell that is well; in this round alone."""
    vantage_isolated: float = 0.003
    """The workers of a region reach no cell but their own."""
    vantage_silent: float = 0.005
    """The workers of a region say nothing: they are slow, or gone."""
    control_plane_isolated: float = 0.002
    """Only one region's workers are heard, and they reach no cell but their own."""
    peer_deaf: float = 0.01
    """A peer gets nothing, because replication is stuck."""
    entity_wrong: float = 0.005
    """An entity takes its cell for not ready, for some part that is none of our business."""
    round_slow: float = 0.005
    """A round takes so long that nobody's word counts."""
    restart: float = 0.001
    """A cell is restarted by a visit: it really does not answer."""
    lasts: int = 6
    """Rounds, on average."""


@dataclass
class Soak:
    """One fleet, one seed."""

    seed: int
    errors: Errors = field(default_factory=Errors)
    outage: set[str] = field(default_factory=set)
    """Cells that are lost indeed; to begin with there are none."""

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311 - reproducible
        self.fleet = Watched(cells=(E1, W1, W2, N1, N2)).has(
            namespace(ORDERS, E1, W1, N1), namespace(BILLS, W2, N2)
        )
        self.ongoing: dict[tuple[str, ...], int] = {}
        """What errs, and for how many rounds still."""
        self.seen: Counter[str] = Counter()
        """How many rounds found a cell of which somebody said it was lost, and the like."""

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self._err()
            took = 65 * SECOND if self._begins(self.errors.round_slow) else SECOND
            self.fleet.look(self._pause(), took)
            self._note()

    def _err(self) -> None:
        """Draw what goes wrong in this round."""
        errors, fleet = self.errors, self.fleet
        self.ongoing = {what: left - 1 for what, left in self.ongoing.items() if left > 1}
        for region in REGIONS:
            self._perhaps(errors.vantage_isolated, "blind", region)
            self._perhaps(errors.vantage_silent, "silent", region)
        self._perhaps(errors.control_plane_isolated, "alone", self._random.choice(REGIONS))
        for cell in fleet.cells:
            self._perhaps(errors.entity_wrong, "entity", cell)
            self._perhaps(errors.restart, "restart", cell)
            for peer in fleet.cells:
                self._perhaps(errors.peer_deaf / len(fleet.cells), "deaf", peer, cell)
        fleet.silent = self._all("silent")
        if alone := self._all("alone"):
            fleet.silent = set(REGIONS) - {min(alone)}
        fleet.deaf = {(what[1], what[2]) for what in self.ongoing if what[0] == "deaf"}
        fleet.wrong, fleet.lost = self._all("entity"), self._all("restart")
        fleet.changed = {
            cell: CellFacts(cell, _region(cell), visit="spring") for cell in fleet.lost
        }
        fleet.lost |= self.outage
        fleet.liars = {region: self._missed(region) for region in REGIONS}

    def _missed(self, region: str) -> set[str]:
        """Return the cells that the workers of a region do not reach in this round."""
        if {("blind", region), ("alone", region)} & self.ongoing.keys():
            return {cell for cell in self.fleet.cells if _region(cell) != region}
        return {cell for cell in self.fleet.cells if self._begins(self.errors.probe)}

    def _all(self, kind: str) -> set[str]:
        return {what[1] for what in self.ongoing if what[0] == kind}

    def _perhaps(self, likelihood: float, *what: str) -> None:
        if what not in self.ongoing and self._begins(likelihood):
            self.ongoing[what] = 1 + int(self._random.expovariate(1 / self.errors.lasts))

    def _begins(self, likelihood: float) -> bool:
        return self._random.random() < likelihood

    def _pause(self) -> timedelta:
        return self.fleet.state.policy.suspicious_every

    def _note(self) -> None:
        fleet, sight = self.fleet, self.fleet.sight
        assert sight is not None, "it has just looked"
        self.seen["rounds"] += 1
        self.seen["rounds in which somebody said of some cell that it was lost"] += any(
            count.is_doubted for count in sight.counts.values()
        )
        wrongly = {
            cell
            for cell, count in sight.counts.items()
            if count.tally is Tally.LOST and cell not in fleet.lost
        }
        self.seen["rounds in which a majority said so of a cell that answered"] += bool(wrongly)
        self.seen["rounds in which a namespace would have been free to move"] += all(
            fleet.verdict(cell) is Verdict.WELL for cell in (W1, N1)
        )


def _region(cell: str) -> str:
    return cell.rpartition("-")[0]


def main(rounds: str = "1000000", seed: str = "1") -> None:
    soak, left = Soak(int(seed)), int(rounds)
    while left > 0:
        soak.run(min(left, REPORT_EVERY))
        left -= REPORT_EVERY
        print(f"seed {seed}: {len(soak.fleet.moved)} false failovers")
        for what, times in soak.seen.items():
            print(f"  {times:>9,} {what}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
