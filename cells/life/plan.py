"""What happens next in a cell's life: which layer is built or dismantled, or nothing. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cells.life.types import Blueprint, Layer, LayerRecord, LifeState, Phase
from cells.providers.types import Foundation
from cells.types import CellAddresses, CellSpec

ORDER = tuple(Layer)
"""Of building. Dismantling goes the other way."""


@dataclass(frozen=True)
class Build:
    """See to it that a layer stands, whatever of it is there already."""

    layer: Layer


@dataclass(frozen=True)
class Dismantle:
    layer: Layer


class Errand(StrEnum):
    """What is asked of the fleet around a cell that is to go."""

    ANSWER = "answer"
    """Say whether a decommission may begin."""
    CORDON = "cordon"
    COUNT = "count"
    """See who lives there still."""
    REOPEN = "reopen"
    """The draining was called off."""


@dataclass(frozen=True)
class Rest:
    """Nothing is to be done."""

    until: datetime | None
    """None: until somebody asks for something."""


Step = Build | Dismantle | Errand | Rest


@dataclass(frozen=True)
class Pace:
    """How long nothing is done when what is waited for was not there, look after look."""

    first: timedelta
    longest: timedelta

    def pause(self, looks: int) -> timedelta:
        """Return the pause after so many looks in a row: each twice as long as the one before."""
        doublings = min(max(looks - 1, 0), 16)
        return min(self.first * (1 << doublings), self.longest)


PREFLIGHT = Pace(timedelta(minutes=1), timedelta(minutes=10))
DRAINING = Pace(timedelta(seconds=10), timedelta(minutes=2))
DISMANTLING = Pace(timedelta(minutes=1), timedelta(minutes=15))


def next_step(state: LifeState, now: datetime) -> Step:
    """Return what is to be done now."""
    if state.retry_at is not None and state.retry_at > now:
        return Rest(state.retry_at)
    match state.phase:
        case Phase.BUILDING | Phase.WAITING:
            layer = next_layer(state.assured)
            return Rest(None) if layer is None else Build(layer)
        case Phase.READY:
            return Rest(None) if state.asked is None else Errand.ANSWER
        case Phase.DRAINING if state.is_kept:
            return Errand.REOPEN
        case Phase.DRAINING:
            return Errand.COUNT if state.is_cordoned else Errand.CORDON
        case Phase.DISMANTLING:
            standing = last_standing(state.layers)
            return Rest(None) if standing is None else Dismantle(standing)
        case Phase.FAILED | Phase.GONE:
            return Rest(None)


def next_layer(assured: Collection[Layer]) -> Layer | None:
    """Return the lowest layer that is not known to stand: all below it are. None when all stand."""
    return next((layer for layer in ORDER if layer not in assured), None)


def last_standing(layers: Mapping[Layer, LayerRecord]) -> Layer | None:
    """Return the highest layer of which something may be there: whatever was begun and not taken
    down, finished or not. None when there is nothing."""
    for layer in reversed(ORDER):
        record = layers.get(layer)
        if record is not None and record.dismantled_at is None:
            return layer
    return None


def is_pointless(step: Step, state: LifeState) -> bool:
    """Return whether the step under way is no longer wanted and is to be cut short."""
    return isinstance(step, Build) and state.phase not in (Phase.BUILDING, Phase.WAITING)


def spec(blueprint: Blueprint, foundation: Foundation, addresses: CellAddresses) -> CellSpec:
    """Return what the fleet is told of the cell."""
    return CellSpec(
        provider=blueprint.provider,
        region=blueprint.region,
        ring=blueprint.ring,
        server_version=blueprint.server_version,
        capacity=blueprint.capacity,
        addresses=addresses,
        failover_version=blueprint.failover_version,
        failure_domain=blueprint.failure_domain,
        foundation=foundation,
    )
