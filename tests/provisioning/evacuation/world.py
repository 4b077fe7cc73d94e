"""An evacuation's world in files: what processes that die leave to those that come after them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from cells.types import CellView, Cordon
from provisioning.evacuation.memory import MemoryNamespaces
from provisioning.evacuation.types import EvacuationView
from provisioning.types import NamespaceView

T = TypeVar("T")
_NAMESPACE, _CELL = TypeAdapter(NamespaceView), TypeAdapter(CellView)
_EVACUATION = TypeAdapter(EvacuationView)


@dataclass
class FileNamespaces(MemoryNamespaces):
    """What `MemoryNamespaces` is, each namespace in a file of its own."""

    folder: Path = Path()

    def load(self) -> Iterable[NamespaceView]:
        return _read_all(self.folder / "namespaces", _NAMESPACE)

    def write(self, view: NamespaceView) -> None:
        _write(self.folder / "namespaces" / view.id, _NAMESPACE.dump_json(view))


@dataclass(frozen=True)
class FileCells:
    """Meets `provisioning.evacuation.ports.Cells` and `CellEntities`."""

    folder: Path

    async def cells(self) -> Sequence[CellView]:
        return _read_all(self.folder / "cells", _CELL)

    async def describe(self, cell: str) -> CellView:
        return next(view for view in await self.cells() if view.id == cell)

    async def cordon(self, cell: str, *, reason: str, by: str) -> CellView:
        cordon = Cordon(reason, by, datetime.now(UTC))
        return self.put(replace(await self.describe(cell), cordon=cordon))

    async def uncordon(self, cell: str) -> CellView:
        return self.put(replace(await self.describe(cell), cordon=None))

    def put(self, view: CellView) -> CellView:
        _write(self.folder / "cells" / view.id, _CELL.dump_json(view))
        return view


@dataclass(frozen=True)
class FileEvacuations:
    """Meets `provisioning.evacuation.ports.EvacuationProjection`."""

    folder: Path

    async def publish_evacuation(self, view: EvacuationView) -> None:
        known = self.read(view.id)
        if known is None or known.revision < view.revision:
            _write(self.folder / "evacuations" / view.id, _EVACUATION.dump_json(view))

    def read(self, evacuation: str) -> EvacuationView | None:
        file = self.folder / "evacuations" / evacuation
        return _EVACUATION.validate_json(file.read_bytes()) if file.exists() else None


def _read_all(folder: Path, adapter: TypeAdapter[T]) -> list[T]:
    whole = (file for file in sorted(folder.iterdir()) if file.suffix != ".new")
    return [adapter.validate_json(file.read_bytes()) for file in whole]


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    beside = file.with_name(f"{file.name}.new")
    beside.write_bytes(content)
    beside.replace(file)
