"""Which namespaces are told to move now, within which limits. Pure: `now` is an argument."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from provisioning.automatic.choices import Sight, in_words, leaving, returning, target_obstacles
from provisioning.automatic.sight import NamespaceFacts
from provisioning.automatic.types import (
    AvailabilityState,
    Choice,
    Move,
    NamespaceDecision,
    Tally,
    Verdict,
)

MINUTE = timedelta(minutes=1)
SURVEYED_AT_ONCE = 20
"""Cells whose namespaces are looked at in one round."""


@dataclass(frozen=True)
class Plan:
    decisions: tuple[NamespaceDecision, ...] = ()
    moves: tuple[Move, ...] = ()
    obstacles: Mapping[str, str] = field(default_factory=dict)
    """Why nothing leaves a lost cell, or returns to one, now; by cell."""


def to_survey(state: AvailabilityState, sight: Sight) -> tuple[str, ...]:
    """Return the cells whose namespaces have to be known, the most pressing first."""
    asked = sorted({each.cell for each in state.asked.values()} & set(sight.cells))
    back = [cell for cell in sorted(sight.cells) if _may_be_returned_to(cell, state, sight)]
    return tuple(dict.fromkeys([*asked, *_lost(state, sight), *back]))[:SURVEYED_AT_ONCE]


def plan(
    state: AvailabilityState,
    sight: Sight,
    namespaces: Mapping[str, Sequence[NamespaceFacts]],
) -> Plan:
    """Decide about the namespaces of cells that are lost, or back; `namespaces` are those with a
    replica in such a cell, by cell. What was asked for before has been settled."""
    allowance = _Allowance.of(state, sight.now)
    left = _left(state, sight)
    decisions: list[NamespaceDecision] = []
    obstacles: dict[str, str] = {}
    for cell in _lost(state, sight):
        if cell not in namespaces:
            obstacles[cell] = "its namespaces could not be read, or those of others come first"
            continue
        found = list(leaving(cell, namespaces[cell], state, sight))
        if obstacle := _why_nothing_leaves(cell, state, sight, left):
            obstacles[cell] = obstacle
            found = [_waiting(each, obstacle) for each in found]
        elif any(each.choice is Choice.MOVES for each in found):
            left.setdefault(cell, sight.now)
        decisions += found
    for cell in (c for c in sorted(namespaces) if _may_be_returned_to(c, state, sight)):
        found = list(returning(cell, namespaces[cell], state, sight))
        if obstacle := _why_nothing_returns(cell, state, sight):
            obstacles[cell] = obstacle
            found = [_waiting(each, obstacle) for each in found]
        decisions += found
    decisions = [allowance.granted(each) for each in decisions]
    moves = tuple(_move(each, state) for each in decisions if each.choice is Choice.MOVES)
    return Plan(tuple(decisions), moves, obstacles)


def _lost(state: AvailabilityState, sight: Sight) -> list[str]:
    """Return the lost cells that have tenants, the first that was lost first."""
    lost = [
        (record.since or sight.now, cell)
        for cell, record in state.cells.items()
        if record.verdict is Verdict.LOST
        and cell in sight.cells
        and not sight.cells[cell].is_synthetic
    ]
    return [cell for _, cell in sorted(lost)]


def _left(state: AvailabilityState, sight: Sight) -> dict[str, datetime]:
    """Return the cells that were left lately, and when."""
    window = state.policy.cells_window
    return {
        cell: record.left_at
        for cell, record in state.cells.items()
        if record.left_at is not None and sight.now - record.left_at <= window
    }


def _why_nothing_leaves(
    cell: str, state: AvailabilityState, sight: Sight, left: Mapping[str, datetime]
) -> str:
    if state.paused is not None:
        return f"paused by {state.paused.by}: {state.paused.reason}"
    count = sight.counts[cell]
    if count.tally is not Tally.LOST:
        return f"in the latest round it was not found lost: {count.message}"
    policy = state.policy
    # What was begun is not stopped halfway by what came after it.
    turn = (left.get(cell, sight.now), cell)
    others = [other for other, at in left.items() if other != cell and (at, other) < turn]
    if len(others) < policy.most_cells:
        return ""
    limit = (
        f"{', '.join(sorted(others))} {'was' if len(others) == 1 else 'were'} left within "
        f"{in_words(policy.cells_window)}, and {policy.most_cells} may be"
    )
    if not policy.whole_region:
        return limit
    region = sight.cells[cell].region
    # A region that is lost is lost as a whole. One voice for it may be a voice for all.
    if any(e not in sight.cells or sight.cells[e].region != region for e in others):
        return f"{limit}, or more of one region"
    if not (count.unanimous and all(state.cells[each].unanimous for each in others)):
        return f"{limit}, or more of one region if nobody says that they are well"
    return ""


def _may_be_returned_to(cell: str, state: AvailabilityState, sight: Sight) -> bool:
    record = state.cells.get(cell)
    if record is None or record.verdict is not Verdict.WELL or record.well_since is None:
        return False
    well_for = sight.now - record.well_since
    return (
        state.policy.failback
        and record.to_return
        and not sight.cells[cell].is_synthetic
        and well_for >= state.policy.failback_after
    )


def _why_nothing_returns(cell: str, state: AvailabilityState, sight: Sight) -> str:
    if state.paused is not None:
        return f"paused by {state.paused.by}: {state.paused.reason}"
    if sight.cells[cell].cordon:
        return f"{cell} is cordoned {sight.cells[cell].cordon}"
    return "; ".join(f"{cell} {each}" for each in target_obstacles(cell, state, sight))


def _waiting(decision: NamespaceDecision, obstacle: str) -> NamespaceDecision:
    if decision.choice is not Choice.MOVES:
        return decision
    return replace(decision, choice=Choice.WAITS, reason=obstacle)


@dataclass
class _Allowance:
    """How many namespaces may still be told to move."""

    this_minute: int
    at_once: int
    state: AvailabilityState

    @classmethod
    def of(cls, state: AvailabilityState, now: datetime) -> "_Allowance":
        lately = sum(now - at < MINUTE for at in state.asked_at)
        moving = sum(not asked.refused for asked in state.asked.values())
        policy = state.policy
        return cls(policy.most_per_minute - lately, policy.most_at_once - moving, state)

    def granted(self, decision: NamespaceDecision) -> NamespaceDecision:
        if decision.choice is not Choice.MOVES:
            return decision
        policy = self.state.policy
        if self.this_minute <= 0:
            reason = f"its turn comes: {policy.most_per_minute} may be told to move in a minute"
        elif self.at_once <= 0:
            reason = f"its turn comes: {policy.most_at_once} may be moving at once"
        else:
            self.this_minute -= 1
            self.at_once -= 1
            return decision
        return replace(decision, choice=Choice.WAITS, reason=reason)


def _move(decision: NamespaceDecision, state: AvailabilityState) -> Move:
    before = state.asked.get(decision.namespace)
    attempt, tries = 1, 1
    if before is not None and (before.cell, before.cause) == (decision.cell, decision.cause):
        attempt, tries = before.attempt, before.tries + 1
    episode = state.cells[decision.cell].episode
    return Move(
        namespace=decision.namespace,
        operation=f"{decision.cause}-{decision.namespace}-{episode}-{attempt}",
        cell=decision.cell,
        target=decision.target,
        cause=decision.cause,
        mode=decision.mode,
        reason=decision.reason,
        attempt=attempt,
        tries=tries,
    )
