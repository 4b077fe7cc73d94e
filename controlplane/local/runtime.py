"""The cells of an embedded fleet as something whose software can be changed, in place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cells.release import NoWay, Release, SchemaStep, Software, way
from cells.runtime.ports import Deployed
from cells.types import CellSpec
from controlplane.errors import not_found, rejected, stale_generation
from controlplane.local import backups, dynamic_configuration
from controlplane.local.cells import CELLS, CellLayout
from controlplane.local.deployment import Deployment
from controlplane.local.failures import FleetFailed
from controlplane.local.home import CellRecord, Home
from controlplane.local.servers import (
    Servers,
    ServerUnavailable,
    UnknownServer,
    artifacts,
    known_versions,
)
from controlplane.local.supervisor import Supervisor


class FleetDown(FleetFailed):
    """Nothing runs in the home, so nothing can be changed in it."""


@dataclass(frozen=True)
class LocalRuntime:
    """Meets `cells.runtime.ports.CellRuntime` for the cells of one home."""

    home: Home

    async def running(self, cell: str, spec: CellSpec) -> Software:  # noqa: ARG002 - the port's
        """Return what the cell is configured to run."""
        return self._layout(cell).software

    async def obstacles(self, cell: str, spec: CellSpec, release: Release) -> Sequence[str]:  # noqa: ARG002 - the port's
        """Return what stands against the release; every server on the way to it is fetched."""
        layout = self._layout(cell)
        try:
            stops = way(layout.software.server_version, release, known_versions())
        except NoWay as wrong:
            return [str(wrong)]
        wanted = release.software(layout.software)
        found = [*_altered(release), *await self._unfetchable(stops)]
        if foreign := _foreign_ingress(layout, wanted):
            found.append(foreign)
        if missing := backups.missing_room(layout.temporal_database):
            found.append(missing)
        return found or await self._unusable(wanted)

    async def migrate_schema(
        self,
        cell: str,
        spec: CellSpec,  # noqa: ARG002 - the port's
        steps: Sequence[SchemaStep],
        generation: int,
    ) -> None:
        """Record the steps: on SQLite a server brings its stores to its own schema as it starts."""
        self._layout(cell)
        async with self.home.cell_locked(cell):
            known = self._layout(cell).known
            _fence(cell, known, generation)
            schema = {**known.schema, **{step.store: step.version for step in steps}}
            await self.home.record_cell(cell, replace(known.under(generation), schema=schema))

    async def deploy(
        self,
        cell: str,
        spec: CellSpec,  # noqa: ARG002 - the port's
        software: Software,
        generation: int,
    ) -> Deployed:
        """Make the cell run this, and return once its server answers in that version.

        Raise `rejected` when it does not come up: it is stopped then.
        """
        layout = self._layout(cell)
        if foreign := _foreign_ingress(layout, software):
            raise rejected(foreign)
        try:
            # While the server that is to be replaced still runs.
            await Servers.of(self.home).fetch(software.server_version)
        except UnknownServer as unknown:
            raise rejected(str(unknown)) from unknown
        async with self.home.cell_locked(cell):
            _fence(cell, self._layout(cell).known, generation, software)
            if await Supervisor(self.home).pid() is None:
                raise FleetDown(f"nothing runs in {self.home.path}: run `controlplane up`")
            return await Deployment(self.home, layout.cell, software, generation).run()

    def _layout(self, cell: str) -> CellLayout:
        found = next((known for known in CELLS if known.id == cell), None)
        if found is None:
            names = ", ".join(known.id for known in CELLS)
            raise not_found(f"there is no cell {cell} in {self.home.path}; there are {names}")
        return CellLayout(found, self.home, self.home.load())

    async def _unfetchable(self, versions: Sequence[str]) -> list[str]:
        found = []
        for version in versions:
            try:
                await Servers.of(self.home).fetch(version)
            except (UnknownServer, ServerUnavailable) as failure:
                found.append(str(failure))
        return found

    async def _unusable(self, wanted: Software) -> list[str]:
        program = await Servers.of(self.home).ensure(wanted.server_version)
        return [
            f"Temporal {wanted.server_version}: {problem}"
            for problem in await dynamic_configuration.unusable(program, wanted.configuration)
        ]


def _foreign_ingress(layout: CellLayout, software: Software) -> str:
    """Say why the cell cannot have the ingress; nothing when it can.

    Gatekeeper and Envoy's configuration are our own code, of which there is one version here. What
    follows a plus sign tells builds of it apart, as in semantic versions: another one starts anew.
    """
    brought = layout.record.versions["controlplane"]
    if software.ingress_version.partition("+")[0] in ("", brought):
        return ""
    return (
        f"ingress {software.ingress_version} is not here: this control plane brings {brought}, of "
        f"which {brought}+2 would be another build"
    )


def _fence(cell: str, known: CellRecord, generation: int, software: Software | None = None) -> None:
    if generation < known.generation:
        raise stale_generation(
            f"{cell} was changed with generation {known.generation} already; this call comes too "
            f"late with {generation}"
        )
    if generation == known.generation and software in known.passed:
        raise stale_generation(
            f"{cell} has left {software.server_version} behind under generation {generation}: this "
            f"call comes too late, or a higher generation is needed to go back"
        )


def _altered(release: Release) -> list[str]:
    """Name the artifacts that are not the programs we know by those names."""
    ours = artifacts(release.server_version)
    return [
        f"artifact {name} has SHA-256 {digest} in release {release.name}, and {ours[name]} here: "
        f"the release was made for another program"
        for name, digest in release.artifacts.items()
        if name in ours and ours[name] != digest
    ]
