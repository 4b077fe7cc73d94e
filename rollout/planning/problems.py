"""What stands against starting a rollout at all, each the least that is in conflict."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from cells.release import NoWay, Release, Version
from rollout.planning.skew import MOST_BEHIND, minors_behind
from rollout.planning.survey import hops
from rollout.policy import Drift, RolloutPolicy, check_policy, ring_policy
from rollout.types import CellFacts, Fleet


def problems(policy: RolloutPolicy, fleet: Fleet, release: Release) -> tuple[str, ...]:
    """Return why this cannot be carried through; empty when nothing stands against it."""
    try:
        check_policy(policy)
    except ValueError as error:
        return (str(error),)
    if not fleet.cells:
        return ("the fleet has no cells: add one",)
    behind = laggards(release, fleet)
    return (
        *_impossible_rings(fleet),
        *([behind] if behind else []),
        *_unreachable(fleet, release),
        *_torn_pairs(fleet, release),
        *_pairs_of_one(fleet),
        *_closed(policy, fleet),
        *_no_gates(policy, fleet),
    )


def warnings(policy: RolloutPolicy, fleet: Fleet, release: Release) -> tuple[str, ...]:
    """Return what people should know before it begins, though nothing of it stands against it."""
    return (*_drifted(policy, fleet), *_left_behind(fleet, release))


def laggards(release: Release, fleet: Fleet) -> str:
    """Return which cells lack what the release finalizes; empty when none does.

    Every cell counts, those that are deferred, held or skipped too: a one-way step taken elsewhere
    is one that they could never follow. What is finalized has the server version that the release
    may be reached from, or else its own.
    """
    if not release.finalizes:
        return ""
    needed = release.minimum_from or release.server_version
    if not needed:
        return ""
    least = Version.parse(needed)
    behind = [cell for cell in fleet.cells if not _is_at_least(cell, least)]
    if not behind:
        return ""
    named = ", ".join(f"{cell.id} ({cell.server_version})" for cell in behind[:3])
    more = f" and {len(behind) - 3} more" if len(behind) > 3 else ""
    return (
        f"{release.name} takes the one-way steps of {release.finalizes}, which every cell has to "
        f"have first: {named}{more} are below {least}. Bring them to {release.finalizes}, or take "
        "them out of the fleet"
    )


def _is_at_least(cell: CellFacts, least: Version) -> bool:
    try:
        return Version.parse(cell.server_version) >= least
    except ValueError:
        return False


def _drifted(policy: RolloutPolicy, fleet: Fleet) -> Iterable[str]:
    treated = {
        Drift.REPORT: "the release comes to it as if that had been meant",
        Drift.HOLD: "it is let alone until it is what it should be",
        Drift.REPAIR: "the release comes to it when its turn comes",
    }
    for cell in fleet.cells:
        if cell.drift:
            yield (
                f"somebody changed {cell.id} by hand: {cell.drift}; with drift: {policy.drift} "
                f"{treated[policy.drift]}"
            )


def _left_behind(fleet: Fleet, release: Release) -> Iterable[str]:
    """Warn of cells that automation stays away from and that would be too far from the others."""
    for cell in fleet.cells:
        behind = minors_behind(cell, release)
        if cell.quarantine and behind > MOST_BEHIND:
            yield (
                f"{cell.id} is quarantined ({cell.quarantine}) and stays {behind} minor versions "
                f"behind {release.server_version}: see to it first"
            )


def _impossible_rings(fleet: Fleet) -> Iterable[str]:
    for cell in fleet.cells:
        if cell.ring < 0:
            yield f"cell {cell.id} is in ring {cell.ring}: rings are counted from 0"
    for name, count in Counter(cell.id for cell in fleet.cells).items():
        if count > 1:
            yield f"cell {name} is in the fleet {count} times: give each cell an id of its own"


def _unreachable(fleet: Fleet, release: Release) -> Iterable[str]:
    """Say which rings no cell of which can have the release: nothing would be proven there."""
    rings: dict[int, list[CellFacts]] = defaultdict(list)
    for cell in fleet.cells:
        rings[cell.ring].append(cell)
    ways = {v: hops(v, release, fleet) for v in {cell.server_version for cell in fleet.cells}}
    for ring, cells in sorted(rings.items()):
        reasons = {str(w): c for c in cells if isinstance(w := ways[c.server_version], NoWay)}
        if all(isinstance(ways[cell.server_version], NoWay) for cell in cells):
            told = "; ".join(f"{cell.id}: {reason}" for reason, cell in sorted(reasons.items()))
            yield f"no cell of ring {ring} can be brought to {release.name}: {told}"


def _torn_pairs(fleet: Fleet, release: Release) -> Iterable[str]:
    """Say which cells would be too far from those with which they share a namespace."""
    if not release.server_version:
        return
    target = Version.parse(release.server_version)
    cells = {cell.id: cell for cell in fleet.cells}
    told: set[tuple[str, ...]] = set()
    for each in fleet.replicas:
        shared = [cells[name] for name in (each.active, *each.passive) if name in cells]
        behind = [cell for cell in shared if _minors_below(cell, target) > 1]
        pair = tuple(sorted(cell.id for cell in behind))
        if len(behind) > 1 and pair not in told:
            told.add(pair)
            at = ", ".join(f"{cell.id} ({cell.server_version})" for cell in behind)
            yield (
                f"{at} share {each.namespace}, and the first of them to have {target} would be "
                f"{_minors_below(behind[0], target)} minor versions ahead of the other: roll out a "
                f"release of {target.major}.{target.minor - 1} first"
            )


def _minors_below(cell: CellFacts, target: Version) -> int:
    try:
        return target.minor - Version.parse(cell.server_version).minor
    except ValueError:
        return 0


def _pairs_of_one(fleet: Fleet) -> Iterable[str]:
    for each in fleet.replicas:
        if each.active in each.passive:
            yield (
                f"{each.active} has both the active and a passive replica of {each.namespace}: no "
                "order of visits spares it"
            )


def _closed(policy: RolloutPolicy, fleet: Fleet) -> Iterable[str]:
    """Say which rings never open long enough for a visit.

    Incidents are left out, which end when somebody says so, and so is a calendar that is not known.
    """
    calendar = replace(fleet.calendar, blockers=(), source_ok=True).at(fleet.seen_at)
    never: dict[int, list[tuple[str, str]]] = defaultdict(list)
    sizes: dict[int, int] = defaultdict(int)
    for cell in fleet.cells:
        sizes[cell.ring] += 1
        verdict = calendar.may_start(cell, policy.visit_takes, True)
        if not verdict.allowed and verdict.until is None:
            never[cell.ring].append((cell.id, verdict.reason))
    for ring, cells in sorted(never.items()):
        if len(cells) == sizes[ring]:
            closed, reason = cells[0]
            yield (
                f"ring {ring} is never open for a visit of {policy.visit_takes}: {closed}: {reason}"
            )


def _no_gates(policy: RolloutPolicy, fleet: Fleet) -> Iterable[str]:
    for ring in sorted({cell.ring for cell in fleet.cells}):
        rules = ring_policy(policy, ring)
        bakes = max(rules.batch_bake, rules.ring_bake) > timedelta(0)
        if bakes and not any(not gate.rings or ring in gate.rings for gate in policy.gates):
            yield f"no gate applies to ring {ring}, whose bakes need evidence: add one for it"
