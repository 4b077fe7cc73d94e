"""What changes of replicas ask of the cells' Temporal services.

Every method can be repeated without harm, also after a reply that was lost. Cells are named by
their ids; what their services call each other is the adapter's to know (`cells.replication.ports`).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from provisioning.ports import Incarnation
from provisioning.replicas.types import Comparison, CopyProgress, ReplicationFacts


class Replication(Protocol):
    """The replication of one namespace. `at` is the replica that is asked or changed."""

    async def observe(self, at: Incarnation) -> ReplicationFacts | None:
        """Return what the cell says; None when the namespace is not there."""
        ...

    async def extend(self, active: Incarnation, to: str) -> None:
        """Tell the namespace that `to` has a replica; return once it is there, under its id.

        Raise `errors.rejected` when another namespace has its name or id there. One that is still
        being deleted there is waited for.
        """
        ...

    async def copy(
        self, active: Incarnation, to: str, told: Callable[[CopyProgress], None]
    ) -> CopyProgress:
        """Replicate all workflow executions there are, verified one by one; return when done.

        A copy that is under way already is followed, not begun again.
        """
        ...

    async def compare(self, source: Incarnation, to: str) -> Comparison:
        """Compare what two cells hold; what happens meanwhile is not counted as missing."""
        ...

    async def hand_over(
        self, active: Incarnation, to: str, within: timedelta, allowed_lag: timedelta
    ) -> None:
        """Make `to` active without losing anything, or raise with everything as before.

        However it ends, cancelled too, the namespace is not left in handover. Raise
        `errors.failed_precondition` when it did not happen within `within`.
        """
        ...

    async def force(self, to: Incarnation) -> None:
        """Make `to` active at once: only its own cell has to answer."""
        ...

    async def settle(self, at: Incarnation) -> None:
        """Take the namespace out of a handover that nobody carries out any more."""
        ...

    async def await_active(self, at: Incarnation, active: str, within: timedelta) -> None:
        """Return once the cell `at` acts on `active` being the active one; raise if it does not."""
        ...

    async def revive(self, active: Incarnation) -> int:
        """Hand out again the work that a failover left lying in the active cell; return of how
        many workflow executions. Not needed for a failover to be over: now and then the service
        loses a task in its moment, and the workflow would stand still for ever."""
        ...

    async def withdraw(self, active: Incarnation, cell: str) -> None:
        """Tell the namespace that `cell` has no replica any more, and delete it there; return once
        it is gone. A cell that does not answer is left for the next call."""
        ...
