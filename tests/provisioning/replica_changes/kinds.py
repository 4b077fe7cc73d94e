"""Every kind of change of replicas, from a namespace it can be made to."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from provisioning.types import FailoverMode, OperationState
from tests.provisioning.replica_changes.changing import C_CENTRAL, C_EAST, C_WEST, Tenancy

FULFILLED, FAILED = OperationState.FULFILLED, OperationState.FAILED


@dataclass(frozen=True)
class Kind:
    prepare: Callable[[Tenancy], Awaitable[None]]
    make: Callable[[Tenancy], Coroutine[Any, Any, OperationState]]
    """Returns what has become of the operation."""
    before: tuple[str, ...]
    """The cells that have a replica, the active one first."""
    after: tuple[str, ...]
    can_fail_by_itself: bool = False
    """Whether it is undone as well where trying a step again would have helped."""
    ends: OperationState = FULFILLED
    begins_with: str = ""
    """The first of its activities that no other kind has; empty: the first of all."""

    def may_end(self, state: OperationState, cells: tuple[str, ...]) -> bool:
        """Return whether it ended whole or undone, and as its operation says."""
        if state == self.ends and cells == self.after:
            return True
        return self.can_fail_by_itself and state == FAILED and cells == self.before


async def _created(tenancy: Tenancy) -> None:
    await tenancy.create()


async def _replicated(tenancy: Tenancy) -> None:
    await tenancy.create()
    assert await tenancy.add() == FULFILLED


async def _failed_over(tenancy: Tenancy, mode: FailoverMode) -> OperationState:
    return await tenancy.fail_over(tenancy.other, mode)


async def _moved(tenancy: Tenancy) -> OperationState:
    operation = await tenancy.begin_migration()
    if await tenancy.waits_or_ends(operation):
        await tenancy.confirm()
    return await tenancy.ended(operation)


async def _moved_in_vain(tenancy: Tenancy) -> OperationState:
    operation = await tenancy.begin_migration()
    if await tenancy.waits_or_ends(operation):
        await tenancy.abort()
    return await tenancy.ended(operation)


KINDS = {
    "add": Kind(
        _created,
        Tenancy.add,
        before=(C_EAST,),
        after=(C_EAST, C_WEST),
    ),
    "remove": Kind(
        _replicated,
        Tenancy.remove,
        before=(C_EAST, C_WEST),
        after=(C_EAST,),
    ),
    "graceful": Kind(
        _replicated,
        lambda tenancy: _failed_over(tenancy, FailoverMode.GRACEFUL),
        before=(C_EAST, C_WEST),
        after=(C_WEST, C_EAST),
        # A handover is tried once: whoever is in a hurry has force.
        can_fail_by_itself=True,
    ),
    "forced": Kind(
        _replicated,
        lambda tenancy: _failed_over(tenancy, FailoverMode.FORCED),
        before=(C_EAST, C_WEST),
        after=(C_WEST, C_EAST),
    ),
    "migrate": Kind(
        _created,
        _moved,
        before=(C_EAST,),
        after=(C_CENTRAL,),
        can_fail_by_itself=True,
        begins_with="check_failover_target",
    ),
    "abort": Kind(
        _created,
        _moved_in_vain,
        before=(C_EAST,),
        after=(C_EAST,),
        ends=FAILED,
        begins_with="observe_replication",
    ),
}
