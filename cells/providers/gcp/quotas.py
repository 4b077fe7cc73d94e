"""Which of a project's quotas a cell would exceed. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cells.life.types import Blueprint

_CPUS_OF_NODES = ((1_000, 24), (5_000, 48))
_MOST_CPUS = 96
"""Three nodes at least, one more while they are upgraded, as `terraform/modules/cell-gcp` picks
them."""
_DISK_GB_PER_CPU = 25


@dataclass(frozen=True)
class Quota:
    metric: str
    limit: float


def needs(blueprint: Blueprint) -> Mapping[str, float]:
    """Return what the parts of a cell need of each metric that GCP limits."""
    rate = blueprint.capacity.actions_per_second
    cpus = next((cpus for most, cpus in _CPUS_OF_NODES if rate <= most), _MOST_CPUS)
    return {
        "NETWORKS": 1,
        "SUBNETWORKS": 3,
        "FIREWALLS": 8,
        "ROUTERS": 1,
        "FORWARDING_RULES": 6,
        "CPUS": cpus,
        "INSTANCES": 4,
        "SSD_TOTAL_GB": cpus * _DISK_GB_PER_CPU,
        "STATIC_ADDRESSES": 1,
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
