"""A world for rollouts without a world: a fleet, its evidence and what was published, in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rollout.gates import Evidence, Reading, Verdict
from rollout.ports import WatchedCells
from rollout.types import Fleet, RolloutView

Judge = Callable[[WatchedCells], tuple[Reading, ...]]
"""What the gates say of watched cells in a window."""


def all_is_well(watched: WatchedCells) -> tuple[Reading, ...]:
    """Let every gate pass for every cell, over all of the window."""
    window = watched.until - watched.since
    return tuple(
        Reading(gate.name, cell, Verdict.PASS, window)
        for gate in watched.gates
        for cell in watched.cells
    )


@dataclass
class MemoryInventory:
    """Answers with the fleet that `look` makes up: `rollout.ports.Inventory`."""

    look: Callable[[], Fleet]

    async def take(self) -> Fleet:
        return self.look()


@dataclass
class MemoryEvidence:
    """Answers with what `judge` says: `rollout.ports.EvidenceSource`."""

    judge: Judge = all_is_well
    asked: list[WatchedCells] = field(default_factory=list)

    async def gather(self, watched: WatchedCells) -> Evidence:
        self.asked.append(watched)
        return Evidence(watched.since, watched.until, self.judge(watched))


@dataclass
class MemoryRollouts:
    """The newest view of each rollout: `rollout.ports.RolloutProjection`."""

    views: dict[str, RolloutView] = field(default_factory=dict)

    async def publish_rollout(self, view: RolloutView) -> None:
        known = self.views.get(view.id)
        if known is None or known.revision < view.revision:
            self.views[view.id] = view
