"""Who may do what: IAM policies, read, changed and written under their etag.

Three of Google's APIs have them, each in its own way; as JSON they are the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from controlplane.gcp.errors import Refused, Status
from controlplane.gcp.waiting import until

Policy = dict[str, Any]
"""`google.iam.v1.Policy` as JSON. What we do not know in it is written back as it was read."""

POLICY_VERSION = 3
"""The one that has conditions: a policy that is read as an older one loses them when written."""
PATIENCE = timedelta(minutes=2)
"""How long a service account that was just made is not known everywhere, at most."""


@dataclass(frozen=True)
class Grant:
    """A role for one member, perhaps under a condition."""

    role: str
    member: str
    title: str = ""
    """Of its condition, if it has one."""
    expression: str = ""

    def is_in(self, binding: dict[str, Any]) -> bool:
        condition = binding.get("condition", {}).get("expression", "")
        return (binding["role"], condition) == (self.role, self.expression)

    def new_binding(self) -> dict[str, Any]:
        binding: dict[str, Any] = {"role": self.role, "members": [self.member]}
        if self.expression:
            binding["condition"] = {"title": self.title, "expression": self.expression}
        return binding


def granted(policy: Policy, grants: Sequence[Grant]) -> Policy:
    """Return the policy with all of these; as it was where it has them."""
    bindings = [dict(binding) for binding in policy.get("bindings", [])]
    for grant in grants:
        binding = next((each for each in bindings if grant.is_in(each)), None)
        if binding is None:
            bindings.append(grant.new_binding())
        elif grant.member not in binding["members"]:
            binding["members"] = [*binding["members"], grant.member]
    return {**policy, "bindings": bindings}


def withdrawn(policy: Policy, member: str) -> Policy:
    """Return the policy without the member."""
    bindings = []
    for binding in policy.get("bindings", []):
        members = [each for each in binding["members"] if each != member]
        if members:
            bindings.append({**binding, "members": members})
    return {**policy, "bindings": bindings}


async def change(
    what: str,
    read: Callable[[], Awaitable[Policy]],
    write: Callable[[Policy], Awaitable[None]],
    edit: Callable[[Policy], Policy],
) -> None:
    """Bring a policy to what `edit` makes of it, whoever changes it at the same time."""
    refusals = list[Refused]()

    async def attempt() -> bool | None:
        policy = await read()
        wanted = edit(policy)
        if wanted.get("bindings", []) == policy.get("bindings", []):
            return True
        try:
            await write({**wanted, "version": POLICY_VERSION})
        except Refused as refused:
            if not _passes(refused):
                raise
            refusals.append(refused)
            return None
        return True

    try:
        await until(attempt, f"a change of {what}", PATIENCE)
    except TimeoutError as late:
        raise TimeoutError(f"{late}: {refusals[-1].message}") from late


def _passes(refused: Refused) -> bool:
    """Return whether somebody was faster, or a member was made too recently to be known."""
    return refused.status is Status.ABORTED or (
        refused.status is Status.INVALID_ARGUMENT and "does not exist" in refused.message
    )
