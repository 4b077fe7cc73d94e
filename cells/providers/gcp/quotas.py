"""Which of a project's quotas a cell would exceed. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cells.life.types import Blueprint


@dataclass(frozen=True)
class Quota:
    metric: str
    limit: float


@dataclass(frozen=True)
class _Size:
    actions_per_second: int
    nodes: int
    cpus_of_node: int


_SIZES = (_Size(1_000, 3, 8), _Size(5_000, 6, 16), _Size(20_000, 9, 32))
"""What `terraform/modules/cell-gcp` picks: the first that is enough."""
_SURGE = 1
"""How many nodes there are more of while they are upgraded."""
_DISK_GB_OF_NODE = 100


def needs(blueprint: Blueprint) -> Mapping[str, float]:
    """Return what the parts of a cell need of each metric that Compute Engine limits and lists.

    It lists neither the limits of newer families of machines nor those of other services.
    """
    rate = blueprint.capacity.actions_per_second
    size = next((size for size in _SIZES if rate <= size.actions_per_second), _SIZES[-1])
    nodes = size.nodes + _SURGE
    return {
        "NETWORKS": 1,
        "SUBNETWORKS": 4,
        "FIREWALLS": 8,
        "ROUTERS": 1,
        "FORWARDING_RULES": 6,
        "CPUS_ALL_REGIONS": nodes * size.cpus_of_node,
        "INSTANCES": nodes,
        "SSD_TOTAL_GB": nodes * _DISK_GB_OF_NODE,
    }


def shortfalls(blueprint: Blueprint, place: str, quotas: Iterable[Quota]) -> list[str]:
    """Return, for people, which limits are below what the cell needs.

    The project is the cell's alone: what is used in it is the cell's own, and does not count.
    """
    wanted = needs(blueprint)
    return [
        f"quota {quota.metric} of {place} is {quota.limit:g}, and the cell needs "
        f"{wanted[quota.metric]:g}: ask for more at "
        "https://console.cloud.google.com/iam-admin/quotas"
        for quota in quotas
        if quota.limit < wanted.get(quota.metric, 0)
    ]
