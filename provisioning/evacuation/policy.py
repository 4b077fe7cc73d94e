"""How a cell is emptied: how fast, in which order, how far, and when it is better to stop. Pure."""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from provisioning.types import FailoverMode


class EvacuationKind(StrEnum):
    EVACUATE = "evacuate"
    """Every replicated namespace that is active in the cell is failed over to another replica."""
    DRAIN = "drain"
    """Evacuate, then migrate what is left, passive replicas too, until the cell is empty."""
    DRILL = "drill"
    """Fail over as planned, soak, and fail back, for the report."""


class TierOrder(StrEnum):
    HIGHEST_FIRST = "highest first"
    LOWEST_FIRST = "lowest first"
    """Those show whether it works who matter least."""


class Confirm(StrEnum):
    """Who says that a migrated namespace gives up its former cell: there is no way back."""

    AUTO = "auto"
    ASK = "ask"


@dataclass(frozen=True)
class EvacuationPolicy:
    at_once: int = 5
    """So many namespaces are failed over at a time."""
    per_minute: int = 30
    """And so many begun in a minute."""
    mode: FailoverMode = FailoverMode.GRACEFUL_THEN_FORCED
    """What becomes of a namespace whose cell is lost: `forced`, whatever this says."""
    order: TierOrder = TierOrder.HIGHEST_FIRST
    keep_free: int = 0
    """Percent of a target's actions per second that have to be free once a namespace is active
    there. A passive replica holds its place in its cell already."""
    move_opted_out: bool = False
    """Whether namespaces move whose owners do not want them failed over without being asked."""
    patience: timedelta = timedelta(minutes=30)
    """How long a namespace that could be moved but for something that may pass is waited for, while
    nothing else goes on."""
    attempts: int = 3
    """How often a namespace is tried before it is left where it is."""
    tolerance: int = 3
    """So many namespaces may fail. With one more it pauses itself; a drill goes back."""
    migrate_at_once: int = 2
    """A drain's migrations at a time."""
    other_regions: tuple[str, ...] = ()
    """Where a drain migrates to when the cell's own region has no room, in order of preference."""
    confirm: Confirm = Confirm.ASK
    migration_soak: timedelta = timedelta(0)
    """How long at least the drained cell stays a replica of a namespace that was migrated."""
    drill_soak: timedelta = timedelta(minutes=10)
    """How long a drill leaves the namespaces away."""
    failover_takes: timedelta = timedelta(seconds=15)
    """How long a failover is expected to take, until this evacuation has seen some."""
    migration_takes: timedelta = timedelta(minutes=10)


def default_policy(kind: EvacuationKind) -> EvacuationPolicy:
    match kind:
        case EvacuationKind.EVACUATE:
            return EvacuationPolicy()
        case EvacuationKind.DRAIN:
            # What has to leave the cell leaves it, but loses nothing.
            return EvacuationPolicy(mode=FailoverMode.GRACEFUL, move_opted_out=True)
        case EvacuationKind.DRILL:
            return replace(
                EvacuationPolicy(),
                mode=FailoverMode.GRACEFUL,
                order=TierOrder.LOWEST_FIRST,
                patience=timedelta(minutes=5),
                attempts=1,
                tolerance=0,
            )


def check_policy(kind: EvacuationKind, policy: EvacuationPolicy) -> None:
    """Raise ValueError, naming the value and the remedy, for rules that make no sense."""
    for name, at_least, at_most in (
        ("at_once", 1, 100),
        ("per_minute", 1, 1000),
        ("keep_free", 0, 99),
        ("attempts", 1, 20),
        ("tolerance", 0, 100_000),
        ("migrate_at_once", 1, 100),
    ):
        value = getattr(policy, name)
        if not at_least <= value <= at_most:
            raise ValueError(f"{name} is {value}: choose {at_least} to {at_most}")
    for name in ("patience", "migration_soak", "drill_soak"):
        duration = getattr(policy, name)
        if not timedelta(0) <= duration <= timedelta(days=30):
            raise ValueError(f"{name} is {duration}: choose a time of at most 30 days, or none")
    for name in ("failover_takes", "migration_takes"):
        if getattr(policy, name) <= timedelta(0):
            raise ValueError(f"{name} is {getattr(policy, name)}: choose more than nothing")
    if kind is EvacuationKind.DRILL and policy.mode is not FailoverMode.GRACEFUL:
        raise ValueError(f"a drill loses nothing, and mode {policy.mode.value} may: use graceful")
    if kind is not EvacuationKind.DRAIN and policy.other_regions:
        raise ValueError("other_regions is for drains: nothing else migrates")
