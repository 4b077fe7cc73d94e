"""What the building of a cell asks of the outside world, cloud aside (`cells.providers.ports`).

Every method can be repeated; "already so" and "already gone" are success.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cells.life.types import Blueprint, LayerTold, LifeView
from cells.providers.types import Account, Foundation
from cells.types import CellAddresses, CellSpec

Progress = Callable[[str], Awaitable[None]]
"""Told what is being done, one short line at a time."""


@dataclass(frozen=True)
class PlannedChanges:
    """What an apply would do."""

    add: int
    change: int
    destroy: int
    destroyed: tuple[str, ...] = ()
    """The addresses of resources that would be lost or replaced."""

    @property
    def is_empty(self) -> bool:
        return not (self.add or self.change or self.destroy)


class Infrastructure(Protocol):
    """Networks, clusters, databases: made as one, and taken down as one."""

    async def plan(self, blueprint: Blueprint, account: Account) -> PlannedChanges:
        """Return what would be changed. Changes nothing."""
        ...

    async def build(self, blueprint: Blueprint, account: Account, progress: Progress) -> Foundation:
        """Make what is missing and return what the cell stands on.

        Raise `rejected` when the plan would destroy something that is there: that is for people.
        """
        ...

    async def dismantle(
        self, blueprint: Blueprint, account: Account, progress: Progress
    ) -> None: ...


class Stores(Protocol):
    """The databases of a cell, its roles, and the secrets that its services are started with."""

    async def prepare(self, blueprint: Blueprint, foundation: Foundation) -> None: ...

    async def forget(self, blueprint: Blueprint) -> None:
        """Delete its secrets from the secret store; the databases go with the infrastructure."""
        ...


class Services(Protocol):
    """What runs in the cluster of a cell."""

    async def admitted(self, blueprint: Blueprint, foundation: Foundation) -> Sequence[str]:
        """Return why services cannot be run in the cluster: it does not let us in, it has no node
        that is ready, rights are missing. Empty when they can."""
        ...

    async def install(
        self, blueprint: Blueprint, foundation: Foundation, progress: Progress
    ) -> CellAddresses:
        """Bring everything to the cluster; return once it serves, and where."""
        ...

    async def remove(
        self, blueprint: Blueprint, foundation: Foundation, progress: Progress
    ) -> None:
        """Remove everything, load balancers and volumes first: they would outlive the cluster."""
        ...


class CellNames(Protocol):
    """The names in DNS under which ingresses are found."""

    async def publish(self, cell: str, addresses: CellAddresses) -> None:
        """Return once every authoritative server says so."""
        ...

    async def withdraw(self, cell: str) -> None: ...


class Registry(Protocol):
    """The fleet, as a new cell enters it and an old one leaves."""

    async def register(self, cell: str, spec: CellSpec) -> None:
        """Make the cell known, cordoned."""
        ...

    async def open(self, cell: str) -> None:
        """Let namespaces be placed there."""
        ...

    async def cordon(self, cell: str, reason: str, by: str) -> None: ...

    async def residents(self, cell: str) -> Sequence[str]:
        """Return the namespaces that live there."""
        ...

    async def forget(self, cell: str) -> None:
        """Take the cell from the fleet: no reader sees it any more."""
        ...


class LifeProjection(Protocol):
    async def publish_life(self, view: LifeView) -> None:
        """Make the view readable, unless a newer revision already is."""
        ...


class LifeListener(Protocol):
    """The workflow of a cell's life, as those who work for it reach it."""

    async def tell(self, cell: str, told: LayerTold) -> None:
        """Let people see what is being done. It may get lost."""
        ...
