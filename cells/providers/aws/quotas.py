"""What a cell takes of the quotas of its account, and who has too little."""

from dataclasses import dataclass

from cells.types import Capacity


@dataclass(frozen=True)
class Need:
    """So much of one quota, as Service Quotas calls it."""

    service: str
    code: str
    what: str
    amount: int


ACCOUNTS = Need("organizations", "L-E619E033", "accounts in the organisation", 1)

_VCPUS = {1000: 36, 5000: 144, 20000: 432}
"""Of all nodes, by the actions per second up to which `terraform/modules/cell-aws` makes them so
large; and half of that again, because nodes are replaced by new ones before they go."""


def needs(capacity: Capacity) -> list[Need]:
    """Return what a cell takes of the quotas of an account in which there is nothing else."""
    vcpus = next(
        (of for most, of in _VCPUS.items() if capacity.actions_per_second <= most),
        max(_VCPUS.values()),
    )
    return [
        Need("vpc", "L-F678F1CE", "VPCs", 2),  # AWS makes a first one by itself.
        Need("vpc", "L-FE5A380F", "NAT gateways in a zone", 1),
        Need("ec2", "L-0263D0A3", "Elastic IP addresses", 3),
        Need("ec2", "L-1216C47A", "vCPUs of running on-demand standard instances", vcpus),
        Need("eks", "L-1194D53C", "EKS clusters", 1),
        Need("rds", "L-7B6409FD", "RDS instances", 1),
        Need("elasticloadbalancing", "L-69A177A2", "Network Load Balancers", 4),
        Need("es", "L-6408ABDE", "OpenSearch instances in a domain", 3),
    ]
