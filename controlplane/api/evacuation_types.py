"""What the Fleet API is asked, and answers, about emptying cells."""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from controlplane.api.policy_types import Length
from controlplane.api.strict_body import Name, Reason, StrictBody
from controlplane.store.evacuation_projections import EvacuationSummary
from provisioning.evacuation.policy import (
    Confirm,
    EvacuationKind,
    EvacuationPolicy,
    TierOrder,
    default_policy,
)
from provisioning.evacuation.types import ControlKind
from provisioning.types import FailoverMode

Whole = Annotated[int, Field(ge=0, le=1_000_000)]


class EvacuationOverrides(StrictBody):
    """What differs from the default rules of its kind; null leaves a rule as it is."""

    at_once: Whole | None = None
    """So many namespaces are failed over at a time."""
    per_minute: Whole | None = None
    """And so many begun in a minute."""
    mode: FailoverMode | None = None
    order: TierOrder | None = None
    keep_free: Whole | None = None
    """Percent of a target's actions per second that have to be free afterwards."""
    move_opted_out: bool | None = None
    """Whether namespaces move whose owners do not want them failed over without being asked."""
    patience: Length | None = None
    attempts: Whole | None = None
    tolerance: Whole | None = None
    """So many namespaces may fail before it pauses itself; a drill goes back."""
    migrate_at_once: Whole | None = None
    other_regions: Annotated[tuple[Name, ...], Field(max_length=100)] | None = None
    """Where a drain migrates to when the cell's own region has no room."""
    confirm: Confirm | None = None
    migration_soak: Length | None = None
    drill_soak: Length | None = None
    failover_takes: Length | None = None
    migration_takes: Length | None = None

    def policy(self, kind: EvacuationKind) -> EvacuationPolicy:
        """Return the default rules of the kind with these over them."""
        return replace(default_policy(kind), **self.model_dump(exclude_none=True))


class NewEvacuation(StrictBody):
    """A cell that is to be emptied."""

    cell: Name
    kind: EvacuationKind
    id: Name = ""
    """The same for the same wish: repeated, it is begun once. When it is empty, that of the one
    under way in the cell, or the cell's name and a number."""
    policy: EvacuationOverrides = EvacuationOverrides()
    source_lost: bool = False
    """The caller answers for it: the cell is dead. Everything is forced, and what had not been
    replicated is lost, or merged when the cell comes back."""
    reason: Reason


class EvacuationControl(StrictBody):
    """Something that is wanted of an evacuation under way."""

    id: Name = ""
    """The same for the same wish: repeated, it is done once; chosen for you when empty."""
    kind: ControlKind
    namespace: Annotated[str, Field(max_length=200)] = ""
    """For `retry`, `skip` and `confirm`; empty for all that it can be done to."""
    reason: Reason


@dataclass(frozen=True)
class EvacuationPage:
    """Evacuations, newest first."""

    evacuations: tuple[EvacuationSummary, ...]
    next_page_token: str
    """"" on the last page."""
