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

_ACTIONS_PER_VCPU = 50
"""How many actions per second a processor of the nodes is counted on for."""
_FEWEST_VCPUS = 12


def needs(capacity: Capacity) -> list[Need]:
    """Return what a cell takes of the quotas of an account in which there is nothing else."""
    vcpus = max(_FEWEST_VCPUS, -(-capacity.actions_per_second // _ACTIONS_PER_VCPU))
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
