"""What a cell's conditions are by what was seen of it. Pure."""

from datetime import datetime

from cells.types import DRIFTED, CellCondition, CellSpec, CellState, CellView, ObservedCell
from cells.visits import record
from controlplane.resource import Condition, Conditions, ConditionStatus, set_condition


def unseen(state: CellState, generation: int, why: str, now: datetime) -> Conditions:
    """Return the conditions of a cell that could not be looked at."""
    ready = _condition(
        CellCondition.READY, ConditionStatus.UNKNOWN, "NotObserved", generation, why, now
    )
    return set_condition(state.conditions, ready)


def seen(
    state: CellState, observed: ObservedCell, spec: CellSpec, generation: int, now: datetime
) -> Conditions:
    """Return the conditions of a cell that was looked at while it was to be like `spec`."""
    conditions, drift = state.conditions, ""
    # A visit changes the version; and what changed while we looked is looked at next.
    if state.visit is None and state.generation == generation and observed.server_version:
        in_sync = _in_sync(state, observed.server_version, spec, generation, now)
        conditions = set_condition(conditions, in_sync)
        drift = in_sync.message if in_sync.status is ConditionStatus.FALSE else ""
    status, reason, message = ConditionStatus.TRUE, "AllPartsAnswer", ""
    if observed.problems:
        told = [*observed.problems, *([drift] if drift else [])]
        status, reason, message = ConditionStatus.FALSE, "PartsFailing", "; ".join(told)
    elif drift:
        status, reason, message = ConditionStatus.FALSE, DRIFTED, drift
    ready = _condition(CellCondition.READY, status, reason, generation, message, now)
    return set_condition(conditions, ready)


def sickness(view: CellView) -> str:
    """Return why nobody should be led to the cell; empty when it serves: one that drifted does."""
    if view.quarantine is not None:
        return f"quarantined by {view.quarantine.by}: {view.quarantine.reason}"
    ready = view.conditions.get(CellCondition.READY)
    if ready is None:
        return "nobody has looked at it yet"
    if ready.status is not ConditionStatus.TRUE and ready.reason != DRIFTED:
        return f"not ready: {ready.message or ready.reason}"
    return ""


def is_ready(conditions: Conditions) -> bool:
    ready = conditions.get(CellCondition.READY)
    return ready is not None and ready.status is ConditionStatus.TRUE


def _in_sync(
    state: CellState, there: str, spec: CellSpec, generation: int, now: datetime
) -> Condition:
    what = CellCondition.IN_SYNC
    if record.left_broken(state):
        message = f"it runs server {there}; what its last visit left was not known"
        return _condition(what, ConditionStatus.UNKNOWN, "LeftBroken", generation, message, now)
    if there == spec.server_version:
        return _condition(what, ConditionStatus.TRUE, "AsBrought", generation, "", now)
    message = f"it runs server {there}, and {spec.server_version} was brought to it"
    return _condition(what, ConditionStatus.FALSE, DRIFTED, generation, message, now)


def _condition(
    what: CellCondition,
    status: ConditionStatus,
    reason: str,
    generation: int,
    message: str,
    now: datetime,
) -> Condition:
    return Condition(what, status, reason, generation, now, message)
