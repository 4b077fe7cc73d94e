"""The side effects of a cell's life, each safe to repeat."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from temporalio import activity
from temporalio.exceptions import ApplicationError

from cells.life.ports import (
    CellNames,
    Infrastructure,
    LifeListener,
    LifeProjection,
    Progress,
    Registry,
    Services,
    Stores,
)
from cells.life.progress import telling
from cells.life.types import Blueprint, Layer, LayerTold, LifeView, Residents
from cells.providers.ports import Cloud
from cells.providers.types import Account, Foundation
from cells.runtime.ports import CellExaminer
from cells.types import CellAddresses, CellSpec, Provider
from controlplane.errors import rejected

NAMED_RESIDENTS = 8


@dataclass(frozen=True)
class Plot:
    """A cell, and the account it is in."""

    blueprint: Blueprint
    account: Account


@dataclass(frozen=True)
class Site:
    """A cell, and what it stands on."""

    blueprint: Blueprint
    foundation: Foundation


@dataclass(frozen=True)
class NameAt:
    cell: str
    addresses: CellAddresses


@dataclass(frozen=True)
class KnownCell:
    """A cell as the fleet knows it."""

    cell: str
    spec: CellSpec


@dataclass(frozen=True)
class Leaving:
    """A cell that is to go, and why."""

    cell: str
    reason: str
    by: str


@dataclass(frozen=True)
class CellSiteActivities:
    """What is done where a cell is: by workers of its region."""

    clouds: Mapping[Provider, Cloud]
    infrastructure: Infrastructure
    stores: Stores
    services: Services
    names: CellNames
    examiner: CellExaminer
    listener: LifeListener

    @activity.defn
    async def find_obstacles(self, blueprint: Blueprint) -> tuple[str, ...]:
        """Return what stands against the cell. What is not configured here stands against it, too:
        that needs a person, and no new request."""
        if blueprint.provider not in self.clouds:
            return (not_connected(blueprint.provider),)
        async with self._telling(blueprint.cell, Layer.PREFLIGHT):
            return tuple(await self._cloud(blueprint).obstacles(blueprint))

    @activity.defn
    async def ensure_account(self, blueprint: Blueprint) -> Account:
        async with self._telling(blueprint.cell, Layer.ACCOUNT):
            return await self._cloud(blueprint).ensure_account(blueprint)

    @activity.defn
    async def build_infrastructure(self, plot: Plot) -> Foundation:
        async with self._telling(plot.blueprint.cell, Layer.INFRASTRUCTURE) as progress:
            return await self.infrastructure.build(plot.blueprint, plot.account, progress)

    @activity.defn
    async def enter_cluster(self, site: Site) -> None:
        async with self._telling(site.blueprint.cell, Layer.CLUSTER):
            _raise_if_any(await self.services.admitted(site.blueprint, site.foundation))

    @activity.defn
    async def prepare_stores(self, site: Site) -> None:
        async with self._telling(site.blueprint.cell, Layer.STORES):
            await self.stores.prepare(site.blueprint, site.foundation)

    @activity.defn
    async def install_services(self, site: Site) -> CellAddresses:
        async with self._telling(site.blueprint.cell, Layer.SERVICES) as progress:
            return await self.services.install(site.blueprint, site.foundation, progress)

    @activity.defn
    async def publish_cell_name(self, name: NameAt) -> None:
        async with self._telling(name.cell, Layer.NAME):
            await self.names.publish(name.cell, name.addresses)

    @activity.defn
    async def prove_cell(self, known: KnownCell) -> None:
        async with self._telling(known.cell, Layer.PROOF):
            _raise_if_any(await self.examiner.examine(known.cell, known.spec))

    @activity.defn
    async def withdraw_cell_name(self, cell: str) -> None:
        async with self._telling(cell, Layer.NAME):
            await self.names.withdraw(cell)

    @activity.defn
    async def remove_services(self, site: Site) -> None:
        async with self._telling(site.blueprint.cell, Layer.SERVICES) as progress:
            await self.services.remove(site.blueprint, site.foundation, progress)

    @activity.defn
    async def forget_stores(self, blueprint: Blueprint) -> None:
        async with self._telling(blueprint.cell, Layer.STORES):
            await self.stores.forget(blueprint)

    @activity.defn
    async def dismantle_infrastructure(self, plot: Plot) -> None:
        async with self._telling(plot.blueprint.cell, Layer.INFRASTRUCTURE) as progress:
            await self.infrastructure.dismantle(plot.blueprint, plot.account, progress)

    @activity.defn
    async def find_account(self, blueprint: Blueprint) -> Account | None:
        """Return the account that was begun to be made and nobody has heard of since."""
        async with self._telling(blueprint.cell, Layer.ACCOUNT):
            return await self._cloud(blueprint).find_account(blueprint)

    @activity.defn
    async def sweep_account(self, plot: Plot) -> tuple[str, ...]:
        async with self._telling(plot.blueprint.cell, Layer.ACCOUNT):
            return tuple(await self._cloud(plot.blueprint).leftovers(plot.blueprint, plot.account))

    @activity.defn
    async def close_account(self, plot: Plot) -> None:
        async with self._telling(plot.blueprint.cell, Layer.ACCOUNT):
            await self._cloud(plot.blueprint).close_account(plot.blueprint, plot.account)

    def _cloud(self, blueprint: Blueprint) -> Cloud:
        if blueprint.provider not in self.clouds:
            raise rejected(not_connected(blueprint.provider))
        return self.clouds[blueprint.provider]

    def _telling(self, cell: str, layer: Layer) -> AbstractAsyncContextManager[Progress]:
        return telling(lambda text: self.listener.tell(cell, LayerTold(layer, text)))


@dataclass(frozen=True)
class CellLifeActivities:
    """What is asked of the fleet for a cell that comes or goes."""

    registry: Registry
    projection: LifeProjection

    @activity.defn
    async def register_cell(self, known: KnownCell) -> None:
        await self.registry.register(known.cell, known.spec)

    @activity.defn
    async def open_cell(self, cell: str) -> None:
        await self.registry.open(cell)

    @activity.defn
    async def cordon_leaving_cell(self, leaving: Leaving) -> None:
        await self.registry.cordon(leaving.cell, leaving.reason, leaving.by)

    @activity.defn
    async def count_residents(self, cell: str) -> Residents:
        names = sorted(await self.registry.residents(cell))
        return Residents(len(names), tuple(names[:NAMED_RESIDENTS]))

    @activity.defn
    async def forget_cell(self, cell: str) -> None:
        await self.registry.forget(cell)

    @activity.defn
    async def publish_life(self, view: LifeView) -> None:
        await self.projection.publish_life(view)


def not_connected(provider: Provider) -> str:
    """Say that a cloud cannot be worked in, and what to do."""
    return (
        f"this worker is not connected with {provider}: set CONTROLPLANE_{provider.upper()}_… as "
        "terraform/README.md says, and start it anew"
    )


def _raise_if_any(problems: Sequence[str]) -> None:
    """Raise them for the step to be taken again: what is slow to come up is no failure yet."""
    if problems:
        raise ApplicationError("; ".join(problems))
