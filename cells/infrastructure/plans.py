"""A plan of Terraform's, read, and what we let happen without asking anybody."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cells.infrastructure.messages import shortened
from cells.life.ports import PlannedChanges
from controlplane.errors import rejected

WHOLE = "terraform_data.whole"
"""Made after everything else: where it is in the state, the cell was complete once."""

_NO_CHANGES = (["no-op"], ["read"])
_TAINTED = "replace_because_tainted"


@dataclass(frozen=True)
class Change:
    """What is to be done to one resource."""

    address: str
    type: str
    actions: tuple[str, ...]
    is_tainted: bool
    """It is replaced because its creation did not end well."""
    after: Mapping[str, Any]
    """What it is to be, as far as that is known before it is made."""

    @property
    def makes(self) -> bool:
        """Whether something is made where nothing was."""
        return self.actions == ("create",)

    @property
    def loses(self) -> bool:
        """Whether something that is there is deleted."""
        return "delete" in self.actions


@dataclass(frozen=True)
class Plan:
    """What one plan file does when it is applied."""

    changes: tuple[Change, ...]
    was_whole: bool
    """The cell was complete before."""
    is_empty: bool
    digest: str
    """SHA-256 of the plan file, hex."""

    @property
    def summary(self) -> PlannedChanges:
        """What people are shown; our own mark is nothing to them."""
        real = [change for change in self.changes if change.address != WHOLE]
        return PlannedChanges(
            add=sum("create" in change.actions for change in real),
            change=sum("update" in change.actions for change in real),
            destroy=sum(change.loses for change in real),
            destroyed=tuple(shortened(change.address) for change in real if change.loses),
        )


def read_plan(shown: str, digest: str) -> Plan:
    """Return what `terraform show -json` tells of a plan file."""
    plan: dict[str, Any] = json.loads(shown)
    changes = tuple(
        Change(
            address=found["address"],
            type=found["type"],
            actions=tuple(found["change"]["actions"]),
            is_tainted=found.get("action_reason") == _TAINTED,
            after=found["change"].get("after") or {},
        )
        for found in plan.get("resource_changes", ())
        if found.get("mode") == "managed" and found["change"]["actions"] not in _NO_CHANGES
    )
    outputs = plan.get("output_changes", {}).values()
    return Plan(
        changes=changes,
        was_whole=any(
            resource["address"] == WHOLE for resource in _resources(plan.get("prior_state", {}))
        ),
        is_empty=not changes and all(output["actions"] == ["no-op"] for output in outputs),
        digest=digest,
    )


def refuse_losses(plan: Plan) -> None:
    """Raise `rejected` when a build would delete something that serves, or may hold data.

    What was never completed may be replaced as long as the cell never was complete: nobody has
    anything there.
    """
    lost = [
        shortened(change.address)
        for change in plan.changes
        if change.loses and change.address != WHOLE and (plan.was_whole or not change.is_tainted)
    ]
    if lost:
        raise rejected(
            f"the plan would destroy or replace {', '.join(lost)}. A build never does: look at the "
            "plan, and make that change by hand, or change the blueprint's module back; then retry"
        )


@dataclass(frozen=True)
class Resource:
    """What the state knows of one resource."""

    address: str
    is_tainted: bool
    is_protected: bool
    """The cloud refuses to delete it until that is switched off."""


def read_state(shown: str) -> list[Resource]:
    """Return what `terraform show -json` tells of a state."""
    state: dict[str, Any] = json.loads(shown)
    return [
        Resource(
            address=found["address"],
            is_tainted=bool(found.get("tainted")),
            is_protected=_is_protected(found.get("values")),
        )
        for found in _resources(state)
        if found.get("mode") == "managed"
    ]


_PROTECTIONS = ("deletion_protection", "enable_deletion_protection", "deletion_protection_enabled")


def _is_protected(values: object) -> bool:
    if isinstance(values, Mapping):
        return any(
            (name in _PROTECTIONS and value is True) or _is_protected(value)
            for name, value in values.items()
        )
    if isinstance(values, list):
        return any(_is_protected(value) for value in values)
    return False


def _resources(state: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    def within(module: Mapping[str, Any]) -> list[dict[str, Any]]:
        inner = [each for child in module.get("child_modules", ()) for each in within(child)]
        return [*module.get("resources", ()), *inner]

    return within((state.get("values") or {}).get("root_module", {}))
