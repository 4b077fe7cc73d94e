"""The vocabulary every resource shares: conditions and their transitions."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Condition:
    """What we last observed about one aspect of a resource, and since when."""

    type: str
    status: ConditionStatus
    reason: str
    observed_generation: int
    last_transition_time: datetime
    message: str = ""


Conditions = dict[str, Condition]
"""Conditions by type; a resource has at most one of each."""


def set_condition(conditions: Conditions, new: Condition) -> Conditions:
    """Return `conditions` with `new` in place, keeping the transition time if the status held."""
    old = conditions.get(new.type)
    if old is not None and old.status == new.status:
        new = replace(new, last_transition_time=old.last_transition_time)
    return {**conditions, new.type: new}
