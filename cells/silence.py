"""What is still known of a cell whose entity has fallen silent. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from cells.types import CellCondition, CellView
from controlplane.ids import cell_workflow_id
from controlplane.resource import Condition, ConditionStatus, set_condition

SILENT_AFTER = timedelta(minutes=6)
"""Three times as long as an entity is ever silent while it lives."""
SILENT = "EntitySilent"


def as_known(view: CellView, now: datetime) -> CellView:
    """Return a cell as it is known now: whether it is ready is unknown once nobody has said so for
    a while, because its entity was terminated, say, or no worker runs in its region."""
    if view.said_at is None or now - view.said_at < SILENT_AFTER:
        return view
    message = (
        f"its entity has said nothing since {view.said_at:%Y-%m-%d %H:%M UTC}: see whether the "
        f"workers of {view.spec.region} run, and what became of workflow "
        f"{cell_workflow_id(view.id)} on the engine"
    )
    unknown = Condition(
        type=CellCondition.READY,
        status=ConditionStatus.UNKNOWN,
        reason=SILENT,
        observed_generation=view.generation,
        last_transition_time=view.said_at,
        message=message,
    )
    return replace(view, conditions=set_condition(view.conditions, unknown))
