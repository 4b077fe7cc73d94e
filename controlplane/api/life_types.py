"""What the Fleet API is asked about the lives of cells in clouds."""

from typing import Annotated

from pydantic import Field

from cells.types import Provider
from controlplane.api.strict_body import Name, Reason, StrictBody

OperationId = Annotated[str, Field(max_length=200)]


class NewCapacity(StrictBody):
    """How much a cell offers."""

    namespaces: Annotated[int, Field(ge=1, le=100_000)] = 500
    actions_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """What its servers and its database are sized by."""


class NewCell(StrictBody):
    """A cell that is to be built."""

    cell: Name
    """Up to 39 lower-case letters, digits and hyphens. Never used again, not even once it is
    gone."""
    provider: Provider
    region: Name
    """The control plane's name of it, such as `aws-us-east-1`."""
    ring: Annotated[int, Field(ge=0, le=1000)]
    server_version: Name
    capacity: NewCapacity = NewCapacity()
    history_shards: Annotated[int, Field(ge=1, le=16_384)] = 512
    """A power of two. Never to be changed later."""
    failure_domain: Name = ""
    """What fails together with it; empty: nothing does. Two replicas of a namespace are never in
    one."""
    operation_id: OperationId = ""
    """The same for the same wish: repeated, it is begun once; chosen for you when empty."""


class LifeRequest(StrictBody):
    """Something that is wanted of a cell's life."""

    operation_id: OperationId = ""
    """The same for the same wish: repeated, it is done once; chosen for you when empty."""
    reason: Reason


class Decommission(LifeRequest):
    drain: bool = False
    """Have the namespaces that live there moved, as a drain of the cell does; without this a cell
    in which some live is not decommissioned."""
