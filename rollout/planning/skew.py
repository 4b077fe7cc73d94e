"""How far cells that are kept back may fall behind those that are not."""

from collections.abc import Iterable
from datetime import datetime

from cells.release import Release, Version
from rollout.people import Hold
from rollout.types import CellFacts, Fleet, RolloutState

MOST_BEHIND = 1
"""Minor versions: servers further apart may lose what one replicates to the other, and a cell so
far behind comes to the next release only by way of another."""


def minors_behind(cell: CellFacts, release: Release) -> int:
    """Return how many minor versions a cell would be behind those that have the release."""
    if not release.server_version:
        return 0
    target = Version.parse(release.server_version)
    try:
        at = Version.parse(cell.server_version)
    except ValueError:
        return 0  # What runs there is not known.
    return max(target.minor - at.minor, 0) if at.major == target.major else 0


def holds_too_long(state: RolloutState, fleet: Fleet, now: datetime) -> str:
    """Say which cells are held that would fall too far behind; nothing when none is.

    The release waits for them: not for whoever holds them, who may not know what it means.
    """
    behind = [
        (cell, state.holds[cell.id])
        for cell in fleet.cells
        if cell.id in state.holds
        and is_on(state.holds[cell.id], now)
        and minors_behind(cell, state.release) > MOST_BEHIND
    ]
    if not behind:
        return ""
    cell, hold = behind[0]
    more = f", and so {len(behind) - 1} more" if len(behind) > 1 else ""
    return (
        f"{hold.actor} holds {cell.id} ({hold.reason}), which has {cell.server_version} and would "
        f"be {minors_behind(cell, state.release)} minor versions behind "
        f"{state.release.server_version}, where {MOST_BEHIND} is the most{more}: unhold it, or "
        "roll out a release in between first"
    )


def refuse_hold(cell: CellFacts, release: Release, shares: Iterable[str]) -> str | None:
    """Return why a cell must not be held, with the cells that have replicas of its namespaces."""
    behind = minors_behind(cell, release)
    if behind <= MOST_BEHIND:
        return None
    others = ", ".join(shares)
    replicas = f"; it shares namespaces with {others}, and replicas may lose data" if others else ""
    return (
        f"{cell.id} has {cell.server_version}: held, it would be {behind} minor versions behind "
        f"{release.server_version}, where {MOST_BEHIND} is the most{replicas}. Pause the rollout "
        "instead, or hold the cell once it has the version in between"
    )


def warning(cell: CellFacts, release: Release) -> str:
    """Say what it means to keep a cell back; nothing when it costs nothing."""
    if not minors_behind(cell, release):
        return ""
    return (
        f"it stays a minor version behind {release.server_version}, and no release of a later one "
        "goes on while it is held"
    )


def is_on(hold: Hold, now: datetime) -> bool:
    """Return whether a hold has not expired."""
    return hold.until is None or hold.until > now
