"""How many pods a cell needs, and how large. Pure.

The figures are where to begin: one history pod of two processors was taken to carry 500 actions a
second. They follow the cell's capacity and nothing else, so that two cells alike are sized alike.
"""

from dataclasses import dataclass
from math import ceil

from cells.types import Capacity

_ACTIONS_OF_HISTORY = 500
_ACTIONS_OF_FRONTEND = 1_000
_ACTIONS_OF_INGRESS = 5_000
_ZONES = 3
_MOST = 60


@dataclass(frozen=True)
class Size:
    replicas: int
    cpu: int
    """What each pod has to itself, in thousandths of a processor; it may use more if there is."""
    memory: int
    """MiB: what each pod has to itself, and all it gets."""


@dataclass(frozen=True)
class Sizes:
    history: Size
    matching: Size
    worker: Size
    internal_frontend: Size
    frontend: Size
    ingress: Size


def sizes_for(capacity: Capacity, *, small: bool = False) -> Sizes:
    """Return the sizes of a cell that offers this capacity."""
    if small:
        tiny = Size(replicas=1, cpu=100, memory=256)
        return Sizes(tiny, tiny, tiny, tiny, tiny, tiny)
    actions = capacity.actions_per_second
    return Sizes(
        history=Size(_pods(actions, _ACTIONS_OF_HISTORY), cpu=2_000, memory=8_192),
        matching=Size(_pods(actions, _ACTIONS_OF_FRONTEND), cpu=1_000, memory=2_048),
        worker=Size(replicas=2, cpu=500, memory=1_024),
        internal_frontend=Size(replicas=2, cpu=500, memory=1_024),
        frontend=Size(_pods(actions, _ACTIONS_OF_FRONTEND), cpu=1_000, memory=2_048),
        ingress=Size(_pods(actions, _ACTIONS_OF_INGRESS), cpu=2_000, memory=2_048),
    )


def _pods(actions: int, each: int) -> int:
    """Return at least one pod per zone."""
    return min(max(ceil(actions / each), _ZONES), _MOST)
