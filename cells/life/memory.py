"""What a cell stands on and is made of, and the fleet around it, kept in memory.

Each refuses what would stand on nothing, and is as repeatable as its port says. What there is, and
what goes wrong, is in the `MemoryLand` that they share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cells.life.ports import PlannedChanges, Progress
from cells.life.types import Blueprint, LayerTold, LifeView
from cells.providers.memory import MemoryLand, account_of
from cells.providers.types import Account, Cluster, Foundation
from cells.types import CellAddresses, CellSpec

NETWORK, CLUSTER, DATABASE = "network", "cluster", "database"
BALANCER = "load balancer"
"""What the services have the cloud make, and the infrastructure knows nothing of."""


@dataclass
class MemoryInfrastructure:
    """Meets `cells.life.ports.Infrastructure`: a network, a cluster on it, a database beside."""

    land: MemoryLand
    PARTS = (NETWORK, CLUSTER, DATABASE)

    async def plan(self, blueprint: Blueprint, account: Account) -> PlannedChanges:  # noqa: ARG002 - the port's
        missing = [part for part in self.PARTS if not self.land.has(f"{account.id}/{part}")]
        return PlannedChanges(add=len(missing), change=0, destroy=0)

    async def build(self, blueprint: Blueprint, account: Account, progress: Progress) -> Foundation:
        async with self.land.during("infrastructure.build", blueprint.cell) as call:
            self.land.require(f"account {account.id}")
            for part in self.PARTS:
                await progress(f"creating the {part}")
                self.land.things.make(f"{account.id}/{part}")
                if part is CLUSTER:
                    await call.halfway()
        return foundation_of(blueprint)

    async def dismantle(self, blueprint: Blueprint, account: Account, progress: Progress) -> None:
        async with self.land.during("infrastructure.dismantle", blueprint.cell) as call:
            for part in reversed(self.PARTS):
                await progress(f"destroying the {part}")
                self.land.things.unmake(f"{account.id}/{part}")
                if part is CLUSTER:
                    await call.halfway()


@dataclass
class MemoryStores:
    """Meets `cells.life.ports.Stores`."""

    land: MemoryLand

    async def prepare(self, blueprint: Blueprint, foundation: Foundation) -> None:
        async with self.land.during("stores.prepare", blueprint.cell):
            self.land.require(f"{foundation.account.id}/{DATABASE}")
            self.land.things.make(f"secrets of {blueprint.cell}")

    async def forget(self, blueprint: Blueprint) -> None:
        async with self.land.during("stores.forget", blueprint.cell):
            self.land.things.unmake(f"secrets of {blueprint.cell}")


@dataclass
class MemoryServices:
    """Meets `cells.life.ports.Services`."""

    land: MemoryLand
    closed: list[str] = field(default_factory=list)
    """Why clusters let nobody in."""

    async def admitted(self, blueprint: Blueprint, foundation: Foundation) -> Sequence[str]:  # noqa: ARG002 - the port's
        async with self.land.during("services.admitted", foundation.cluster.name):
            cluster = f"{foundation.account.id}/{CLUSTER}"
            return [*self.closed, *([] if self.land.has(cluster) else [f"there is no {cluster}"])]

    async def install(
        self, blueprint: Blueprint, foundation: Foundation, progress: Progress
    ) -> CellAddresses:
        account = foundation.account.id
        async with self.land.during("services.install", blueprint.cell) as call:
            self.land.require(f"{account}/{CLUSTER}", f"secrets of {blueprint.cell}")
            await progress("bringing up the server")
            self.land.things.make(f"services of {blueprint.cell}")
            await call.halfway()
            self.land.things.make(f"{account}/{BALANCER}")
        return addresses_of(blueprint)

    async def remove(
        self, blueprint: Blueprint, foundation: Foundation, progress: Progress
    ) -> None:
        async with self.land.during("services.remove", blueprint.cell) as call:
            await progress("removing the load balancer")
            self.land.things.unmake(f"{foundation.account.id}/{BALANCER}")
            await call.halfway()
            self.land.things.unmake(f"services of {blueprint.cell}")


@dataclass
class MemoryCellNames:
    """Meets `cells.life.ports.CellNames`."""

    land: MemoryLand

    async def publish(self, cell: str, addresses: CellAddresses) -> None:  # noqa: ARG002 - the port's
        async with self.land.during("names.publish", cell):
            self.land.require(f"services of {cell}")
            self.land.things.make(f"name of {cell}")

    async def withdraw(self, cell: str) -> None:
        async with self.land.during("names.withdraw", cell):
            self.land.things.unmake(f"name of {cell}")


@dataclass
class MemoryRegistry:
    """Meets `cells.life.ports.Registry`."""

    land: MemoryLand
    living: dict[str, list[str]] = field(default_factory=dict)
    """Namespaces by cell."""
    cordons: dict[str, str] = field(default_factory=dict)
    """Why cells are cordoned that were open, and by whom."""

    async def register(self, cell: str, spec: CellSpec) -> None:
        async with self.land.during("register", cell):
            assert spec.foundation is not None, "a cell in a cloud stands on something"
            self.land.things.make(f"registration of {cell}")

    async def open(self, cell: str) -> None:
        async with self.land.during("open", cell):
            self.land.require(f"registration of {cell}")
            self.cordons.pop(cell, None)
            self.land.things.make(f"opening of {cell}")

    async def cordon(self, cell: str, reason: str, by: str) -> None:
        async with self.land.during("cordon", cell):
            self.cordons[cell] = f"{reason}, {by}"
            self.land.things.unmake(f"opening of {cell}")

    async def residents(self, cell: str) -> Sequence[str]:
        async with self.land.during("residents", cell):
            return list(self.living.get(cell, []))

    async def forget(self, cell: str) -> None:
        async with self.land.during("forget", cell):
            self.land.things.unmake(f"opening of {cell}")
            self.land.things.unmake(f"registration of {cell}")


@dataclass
class MemoryCellExaminer:
    """Meets `cells.runtime.ports.CellExaminer`: a cell works that runs, is named and known."""

    land: MemoryLand
    problems: list[str] = field(default_factory=list)

    async def examine(self, cell: str, spec: CellSpec) -> Sequence[str]:  # noqa: ARG002 - the port's
        async with self.land.during("examine", cell):
            needed = [f"{what} of {cell}" for what in ("services", "name", "registration")]
            missing = [f"there is no {thing}" for thing in needed if not self.land.has(thing)]
            return [*self.problems, *missing]


@dataclass
class MemoryLives:
    """Meets `LifeProjection` and `LifeListener`, and keeps all that it was told."""

    views: dict[str, LifeView] = field(default_factory=dict)
    published: list[LifeView] = field(default_factory=list)
    told: list[LayerTold] = field(default_factory=list)

    async def publish_life(self, view: LifeView) -> None:
        known = self.views.get(view.blueprint.cell)
        if known is None or known.revision < view.revision:
            self.views[view.blueprint.cell] = view
            self.published.append(view)

    async def tell(self, cell: str, told: LayerTold) -> None:  # noqa: ARG002 - the port's
        self.told.append(told)


def foundation_of(blueprint: Blueprint) -> Foundation:
    account = account_of(blueprint)
    return Foundation(
        account=account,
        cluster=Cluster(blueprint.cell, f"https://{account.id}.example", "a CA"),
        database=f"{account.id}.example:5432",
        database_secret=f"{account.id}/database",
        region=blueprint.cloud_region,
    )


def addresses_of(blueprint: Blueprint) -> CellAddresses:
    host = f"{blueprint.cell}.example"
    return CellAddresses(
        frontend=f"{host}:7233",
        ingress=f"{host}:443",
        ingress_admin=f"{host}:9901",
        gatekeeper=f"{host}:9090",
        database=f"postgresql://cell@{host}:5432/cell",
    )
