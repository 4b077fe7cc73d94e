"""How a rollout moves: rings, batches, bakes, budgets, and what happens when something fails.

Everything here is chosen per rollout and validated when it starts; the defaults are below.
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from cells.visits.types import VisitRules
from rollout.gates import Gate, check_gate, default_gates

MOST_PATCH_CREDIT = 50
"""Percent: half of a bake at least is the release's own."""

_COUNT = re.compile(r"[1-9]\d{0,4}")
_PERCENT = re.compile(r"(?:100|[1-9]?\d)%")


class Lane(StrEnum):
    NORMAL = "normal"
    EMERGENCY = "emergency"
    """Bakes take minutes and batches grow; a first cell alone, pairs, schema order, fencing and
    approvals by two people stay."""


class RollbackScope(StrEnum):
    """What goes back by itself once a rollout has halted."""

    NONE = "none"
    CELL = "cell"
    """Only the cells that failed, which their visits have undone already."""
    BATCH = "batch"
    RING = "ring"
    ALL = "all"


class Drift(StrEnum):
    """What a rollout does about a cell whose server somebody changed by hand."""

    REPORT = "report"
    """It says so, and goes on as if it had been meant."""
    HOLD = "hold"
    """It says so, and lets the cell alone until it is what it should be again."""
    REPAIR = "repair"
    """It says so, and brings the release to the cell when its turn comes, again if need be."""


class Supersession(StrEnum):
    """What happens when another rollout is writing the same component."""

    QUEUE = "queue"
    SUPERSEDE = "supersede"
    """The other one stops at a safe point, and this one takes over."""
    REJECT = "reject"


@dataclass(frozen=True)
class RingPolicy:
    ring: int
    batches: tuple[str, ...]
    """Sizes in order, each `3`, `25%` (of the ring, rounded down, at least 1) or `all`; the last
    repeats. The first batch of a ring is one cell, whatever is written here."""
    batch_bake: timedelta
    """Credit needed after each batch but the last."""
    ring_bake: timedelta
    """Credit needed after the last batch, before the next ring."""
    tolerance: str = "0"
    """How many cells of the ring may fail, `2` or `5%` (rounded down). One more halts the rollout;
    never more are under way than what is left of this, and one."""
    approvals: int = 0
    """How many people have to agree before the ring begins."""
    most_per_region: int = 0
    """At most so many cells of a region at once; 0 for no limit."""
    most_per_provider: int = 0
    emergency_bake: timedelta = timedelta(minutes=30)
    """Takes the place of both bakes in the emergency lane."""
    patch_credit: str = "0%"
    """Of the ring's bake, what counts as credited at most because the release that this one is a
    patch of has baked so long in this ring."""


@dataclass(frozen=True)
class RolloutPolicy:
    rings: tuple[RingPolicy, ...]
    """In ascending order; a ring that is not named takes the rules of the next lower that is."""
    gates: tuple[Gate, ...] = field(default_factory=default_gates)
    rollback: RollbackScope = RollbackScope.BATCH
    supersession: Supersession = Supersession.QUEUE
    deferral_cap: str = "20%"
    """More cells of a ring than this that are sick before their turn block the ring."""
    deferral_patience: timedelta = timedelta(days=7)
    """How long the end of the rollout waits for deferred cells, which then stay behind."""
    confounded_cells: int = 3
    """As many cells of a region that vanish at once are the region's trouble, not the release's:
    nothing starts there until they are back."""
    visit: VisitRules = field(default_factory=VisitRules)
    visit_takes: timedelta = timedelta(minutes=30)
    """How long a visit is expected to take (p95), until this rollout has seen some."""
    bake_at_most: timedelta = timedelta(days=30)
    """A bake that lasts longer than this, by the clock, waits for a person. It is never waved
    through."""
    alert_without_data_after: timedelta = timedelta(minutes=15)
    replication_lag_below: timedelta = timedelta(seconds=30)
    """What a passive replica may lag before its active side is disturbed."""
    emergency_for: timedelta = timedelta(hours=24)
    """How long the emergency lane stays open once it was declared."""
    drift: Drift = Drift.HOLD


def default_policy() -> RolloutPolicy:
    """Return the rules for a fleet with four rings: synthetic, low, standard, critical."""
    hour, day = timedelta(hours=1), timedelta(days=1)
    return RolloutPolicy(
        rings=(
            RingPolicy(0, ("1", "all"), hour, 7 * day, emergency_bake=hour / 2),
            RingPolicy(
                1,
                ("1", "2", "4", "25%"),
                4 * hour,
                3 * day,
                tolerance="5%",
                most_per_region=2,
                most_per_provider=4,
                emergency_bake=hour / 2,
                patch_credit="50%",
            ),
            RingPolicy(
                2,
                ("1", "10%", "25%"),
                12 * hour,
                2 * day,
                most_per_region=2,
                most_per_provider=6,
                emergency_bake=hour,
                patch_credit="50%",
            ),
            RingPolicy(
                3,
                ("1", "5%", "10%"),
                day,
                2 * day,
                approvals=2,
                most_per_region=1,
                most_per_provider=2,
                emergency_bake=2 * hour,
                patch_credit="50%",
            ),
        )
    )


def ring_policy(policy: RolloutPolicy, ring: int) -> RingPolicy:
    """Return the rules of a ring: its own, else those of the next lower ring that has some."""
    lower = [each for each in policy.rings if each.ring <= ring]
    return lower[-1] if lower else policy.rings[0]


def share(amount: str, whole: int, *, at_least: int) -> int:
    """Return how many of `whole` an amount like `3`, `25%` or `all` is, rounded down."""
    if amount == "all":
        return whole
    if amount.endswith("%"):
        return max(whole * int(amount[:-1]) // 100, at_least)
    return int(amount)


def check_policy(policy: RolloutPolicy) -> None:
    """Raise ValueError, naming the value and the remedy, for rules that cannot be followed."""
    numbers = [ring.ring for ring in policy.rings]
    if not numbers:
        raise ValueError("a policy needs the rules of at least one ring: name ring 0")
    if numbers != sorted(set(numbers)) or numbers[0] < 0:
        raise ValueError(f"rings are {numbers}: name each once, in ascending order, from 0")
    for ring in policy.rings:
        _check_ring(ring)
    _amount("deferral_cap", policy.deferral_cap, zero=True)
    for name, length in (
        ("deferral_patience", policy.deferral_patience),
        ("visit_takes", policy.visit_takes),
        ("bake_at_most", policy.bake_at_most),
        ("alert_without_data_after", policy.alert_without_data_after),
        ("visit.settle", policy.visit.settle),
        ("visit.verify_for", policy.visit.verify_for),
        ("visit.healthy_within", policy.visit.healthy_within),
    ):
        if length < timedelta(0):
            raise ValueError(f"{name} is {length}: it cannot be negative")
    if policy.emergency_for <= timedelta(0):
        raise ValueError(f"emergency_for is {policy.emergency_for}: write for example 24h")
    names = [gate.name for gate in policy.gates]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"gates are named twice: {', '.join(twice)}")
    for gate in policy.gates:
        check_gate(gate)
    if not policy.gates:
        raise ValueError("a policy without gates never earns credit: name at least one gate")


def _check_ring(ring: RingPolicy) -> None:
    what = f"ring {ring.ring}"
    if not ring.batches:
        raise ValueError(f"{what} has no batches: write for example 1, 10%, 25%")
    for batch in ring.batches:
        _amount(f"{what}: batch", batch, zero=False)
    _amount(f"{what}: tolerance", ring.tolerance, zero=True)
    share_of_bake = _PERCENT.fullmatch(ring.patch_credit)
    if share_of_bake is None or int(ring.patch_credit[:-1]) > MOST_PATCH_CREDIT:
        raise ValueError(
            f"{what}: patch_credit is {ring.patch_credit!r}: write a share of the ring's bake from "
            f"0% to {MOST_PATCH_CREDIT}%"
        )
    for name, length in (
        ("batch_bake", ring.batch_bake),
        ("ring_bake", ring.ring_bake),
        ("emergency_bake", ring.emergency_bake),
    ):
        if length < timedelta(0):
            raise ValueError(f"{what}: {name} is {length}: it cannot be negative")
    for name, number in (
        ("approvals", ring.approvals),
        ("most_per_region", ring.most_per_region),
        ("most_per_provider", ring.most_per_provider),
    ):
        if number < 0:
            raise ValueError(f"{what}: {name} is {number}: it cannot be negative")


def _amount(what: str, text: str, *, zero: bool) -> None:
    if zero and text in ("0", "0%"):
        return
    if not zero and text == "all":
        return
    if not (_COUNT.fullmatch(text) or (_PERCENT.fullmatch(text) and text != "0%")):
        raise ValueError(f"{what} is {text!r}: write a number such as 2, or a share such as 25%")
