"""A world for visits that outlives its workers: what each cell runs, in a file per cell."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cells.release import Release, SchemaStep, Software
from cells.runtime.ports import Deployed
from cells.types import CellSpec
from controlplane.errors import rejected, stale_generation

SWAP_SECONDS = 0.02
"""How long a cell is neither here nor there: long enough to die in."""


@dataclass(frozen=True)
class FileRuntime:
    """`cells.runtime.ports.CellRuntime`: a cell runs what its file says."""

    folder: Path

    async def running(self, cell: str, spec: CellSpec) -> Software:
        found = self.read(cell)["running"]
        return Software(**found) if found else Software(spec.server_version)

    async def obstacles(self, cell: str, spec: CellSpec, release: Release) -> Sequence[str]:  # noqa: ARG002 - the port's
        return []

    async def migrate_schema(
        self,
        cell: str,
        spec: CellSpec,  # noqa: ARG002 - the port's
        steps: Sequence[SchemaStep],
        generation: int,
    ) -> None:
        self._fence(cell, generation)
        for step in steps:
            has = self.read(cell)["schema"].get(step.store)
            if has != step.version:
                schema = {**self.read(cell)["schema"], step.store: step.version}
                what = f"schema {step.store} {step.version}"
                self._change(cell, schema=schema, changes=self._changes(cell, what, generation))

    async def deploy(
        self, cell: str, spec: CellSpec, software: Software, generation: int
    ) -> Deployed:
        self._fence(cell, generation)
        if await self.running(cell, spec) != software:
            self._change(cell, down=True)
            await asyncio.sleep(SWAP_SECONDS)
            if software.server_version in self.read(cell)["broken"]:
                raise rejected(f"{software.server_version} does not come up")
            changes = self._changes(cell, f"server {software.server_version}", generation)
            self._change(cell, running=asdict(software), changes=changes)
        self._change(cell, down=False)
        return Deployed(software.server_version, timedelta(seconds=SWAP_SECONDS))

    def read(self, cell: str) -> dict[str, Any]:
        """Return what is known of the cell."""
        file = self.folder / f"{cell}.json"
        fresh: dict[str, Any] = {
            "running": None,
            "schema": {},
            "generation": 0,
            "down": False,
            "broken": [],
            "sick": [],
            "changes": [],
            "refused": [],
        }
        return {**fresh, **(json.loads(file.read_text()) if file.exists() else {})}

    def arrange(self, cell: str, **facts: object) -> None:
        """Make it so: `broken` and `sick` are server versions."""
        self._change(cell, **facts)

    def _fence(self, cell: str, generation: int) -> None:
        highest = self.read(cell)["generation"]
        if generation < highest:
            self._change(cell, refused=[*self.read(cell)["refused"], generation])
            raise stale_generation(
                f"{cell} was changed with {highest}, which is after {generation}"
            )
        self._change(cell, generation=generation)

    def _changes(self, cell: str, what: str, generation: int) -> list[str]:
        return [*self.read(cell)["changes"], f"{what} by {generation}"]

    def _change(self, cell: str, **facts: object) -> None:
        self.folder.mkdir(exist_ok=True)
        file = self.folder / f"{cell}.json"
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps({**self.read(cell), **facts}))
        beside.replace(file)


@dataclass(frozen=True)
class FileExaminer:
    """`cells.runtime.ports.CellExaminer`: finds sick what the file calls sick, or what is down."""

    runtime: FileRuntime

    async def examine(self, cell: str, spec: CellSpec) -> Sequence[str]:
        known = self.runtime.read(cell)
        version = (await self.runtime.running(cell, spec)).server_version
        if known["down"]:
            return ["Temporal does not answer"]
        return [f"{version} loses canaries"] if version in known["sick"] else []
