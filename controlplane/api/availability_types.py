"""What the Fleet API is asked about failovers that nobody asks for."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from controlplane.api.evacuation_types import Whole
from controlplane.api.policy_types import Length
from controlplane.api.strict_body import Name, Reason, StrictBody
from provisioning.automatic.types import AvailabilityPolicy


class AvailabilityRequest(StrictBody):
    """Something that is wanted of what watches over the fleet."""

    reason: Reason


class AvailabilityOverrides(StrictBody):
    """What is to be another rule than now; null leaves a rule as it is."""

    lost_rounds: Whole | None = None
    lost_for: Length | None = None
    planned_patience: Length | None = None
    suspicious_every: Length | None = None
    calm_every: Length | None = None
    stale_after: Length | None = None
    flaps: Whole | None = None
    flap_window: Length | None = None
    hold_for: Length | None = None
    most_cells: Whole | None = None
    cells_window: Length | None = None
    whole_region: bool | None = None
    most_per_minute: Whole | None = None
    most_at_once: Whole | None = None
    retry_after: Length | None = None
    attempts: Whole | None = None
    failback: bool | None = None
    failback_after: Length | None = None
    witnesses: Annotated[tuple[Name, ...], Field(max_length=100)] | None = None

    def over(self, present: AvailabilityPolicy) -> AvailabilityPolicy:
        return replace(present, **self.model_dump(exclude_none=True))


class NewAvailabilityPolicy(StrictBody):
    """Rules by which cells count as lost, and how much may be moved at once."""

    policy: AvailabilityOverrides
    reason: Reason
