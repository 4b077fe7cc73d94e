"""What the control plane asks of a cloud, for one cell at a time.

Every method can be repeated: names derive from the cell's uid, what is there is found before it is
made, "already so" and "already gone" are success. Errors are those of `controlplane.errors`, and
say what to do: `throttled` carries the provider's delay, `rejected` needs another request or a
person, everything else may be tried again. Operations that take minutes heartbeat (see
`controlplane.heartbeats`), and a call that finds one under way waits for that one.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from cells.life.types import Blueprint
from cells.providers.types import Account, ClusterAccess, DatabaseLogin, Foundation

Variable = str | int | bool | list[str] | dict[str, str]


class Cloud(Protocol):
    """AWS or GCP: accounts, identities, and what is left of a cell."""

    async def obstacles(self, blueprint: Blueprint) -> Sequence[str]:
        """Return what stands against a cell there, each for people to read. Changes nothing.

        Quotas that its parts would exceed, a region that is not enabled, a parent that is not
        there, permissions that are missing.
        """
        ...

    async def ensure_account(self, blueprint: Blueprint) -> Account:
        """Return the cell's account, made, in its place, billed, with what it needs switched on."""
        ...

    async def find_account(self, blueprint: Blueprint) -> Account | None:
        """Return the cell's account if it has one."""
        ...

    async def close_account(self, blueprint: Blueprint, account: Account) -> None:
        """Close it: the cloud deletes what is in it, and itself, after its own period of grace."""
        ...

    async def leftovers(self, blueprint: Blueprint, account: Account) -> Sequence[str]:
        """Return what in the account still has the cell's tags: names that its console knows."""
        ...

    def variables(self, blueprint: Blueprint, account: Account) -> Mapping[str, Variable]:
        """Return the inputs of the cell's Terraform module."""
        ...

    async def environment(self, account: Account) -> Mapping[str, str]:
        """Return the environment in which Terraform acts as who may: short-lived secrets. Never
        kept, shown or put on a command line."""
        ...

    def backend(self, blueprint: Blueprint) -> Mapping[str, str]:
        """Return where Terraform keeps the cell's state: the configuration of its backend, whose
        type stands under `type`."""
        ...

    async def cluster_access(self, foundation: Foundation) -> ClusterAccess:
        """Return a way into the cell's cluster that is good for ten minutes at least."""
        ...

    async def database_login(self, foundation: Foundation) -> DatabaseLogin:
        """Return the first role of the cell's PostgreSQL server, which makes all others."""
        ...
