"""How a request chooses the rules of its rollout: the default ones, but for what it names."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from cells.visits.types import VisitRules
from controlplane.api.strict_body import StrictBody
from rollout.gates import Gate
from rollout.policy import (
    Drift,
    RingPolicy,
    RollbackScope,
    RolloutPolicy,
    Supersession,
    default_policy,
    ring_policy,
)

LONGEST = timedelta(days=366)
HIGHEST_RING = 1000
MOST_CELLS = 1_000_000

Length = Annotated[timedelta, Field(ge=timedelta(0), le=LONGEST)]
"""ISO 8601, such as `PT90M` or `P7D`, or a number of seconds."""
Ring = Annotated[int, Field(ge=0, le=HIGHEST_RING)]
Count = Annotated[int, Field(ge=0, le=MOST_CELLS)]
Amount = Annotated[str, Field(max_length=10)]
"""Such as `3` or `25%`."""


class RingOverrides(StrictBody):
    """What differs in one ring; the rest is as in the default rules of that ring."""

    ring: Ring
    batches: Annotated[tuple[Amount, ...], Field(max_length=100)] | None = None
    batch_bake: Length | None = None
    ring_bake: Length | None = None
    tolerance: Amount | None = None
    approvals: Annotated[int, Field(ge=0, le=10)] | None = None
    most_per_region: Count | None = None
    most_per_provider: Count | None = None
    emergency_bake: Length | None = None
    patch_credit: Amount | None = None

    def over(self, base: RingPolicy) -> RingPolicy:
        return replace(base, **self.model_dump(exclude_none=True))


class VisitOverrides(StrictBody):
    settle: Length | None = None
    verify_for: Length | None = None
    healthy_within: Length | None = None

    def over(self, base: VisitRules) -> VisitRules:
        return replace(base, **self.model_dump(exclude_none=True))


class PolicyOverrides(StrictBody):
    """What differs from the default rules; null leaves a rule as it is."""

    rings: Annotated[tuple[RingOverrides, ...], Field(max_length=100)] = ()
    """A ring that the default rules do not know begins with those of the next lower one."""
    gates: Annotated[tuple[Gate, ...], Field(max_length=100)] | None = None
    """All of them: these take the place of the default ones."""
    rollback: RollbackScope | None = None
    supersession: Supersession | None = None
    deferral_cap: Amount | None = None
    deferral_patience: Length | None = None
    confounded_cells: Annotated[int, Field(ge=1, le=MOST_CELLS)] | None = None
    visit: VisitOverrides | None = None
    visit_takes: Length | None = None
    bake_at_most: Length | None = None
    alert_without_data_after: Length | None = None
    replication_lag_below: Length | None = None
    emergency_for: Length | None = None
    drift: Drift | None = None

    def policy(self) -> RolloutPolicy:
        """Return the default rules with these over them; `check_policy` says if they hold.

        Raise ValueError for a ring that is named twice.
        """
        base = default_policy()
        rings = {each.ring: each for each in base.rings}
        named = Counter(each.ring for each in self.rings)
        for overrides in self.rings:
            ring = overrides.ring
            if named[ring] > 1:
                raise ValueError(f"ring {ring} is named twice: name each ring once")
            rings[ring] = overrides.over(replace(ring_policy(base, ring), ring=ring))
        visit = base.visit if self.visit is None else self.visit.over(base.visit)
        others = {
            name: value
            for name in type(self).model_fields
            if name not in ("rings", "visit") and (value := getattr(self, name)) is not None
        }
        ordered = tuple(rings[ring] for ring in sorted(rings))
        return replace(base, rings=ordered, visit=visit, **others)
