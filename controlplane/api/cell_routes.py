"""The Fleet API's paths about cells: what they are, and who may come near them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import JsonValue, TypeAdapter

from cells.ports import CellProjection
from cells.replication.types import LinkHealth
from cells.types import CellView, Cordon
from controlplane.api.changes import note_change
from controlplane.api.operator_calls import OperatorCalls, actor
from controlplane.api.operator_types import CellRequest
from controlplane.api.ports import CellWriter
from controlplane.api.strict_body import KeepableText
from controlplane.errors import not_found
from controlplane.identity.types import Principal
from controlplane.store.queries import ReadModel
from controlplane.store.replication import ReplicationLinks

_CORDON: TypeAdapter[Cordon | None] = TypeAdapter(Cordon | None)


@dataclass(frozen=True)
class CellRoutes:
    calls: OperatorCalls
    reads: ReadModel
    projection: CellProjection
    writer: CellWriter
    links: ReplicationLinks

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter(prefix="/fleet/v1/cells")

        @router.get("")
        async def cells(caller: Caller) -> list[CellView]:
            """Return every cell, by id."""
            await self.calls.reading(caller, "fleet.cells")
            return await self.reads.cells()

        @router.get("/{cell}")
        async def one_cell(caller: Caller, cell: KeepableText) -> CellView:
            """Return one cell."""
            await self.calls.reading(caller, "fleet.cells")
            return await self._known(cell)

        @router.get("/{cell}/links")
        async def links(caller: Caller, cell: KeepableText) -> list[LinkHealth]:
            """Return how well the cell keeps up with others, and they with it, as last seen."""
            await self.calls.reading(caller, "fleet.cells.links")
            await self._known(cell)
            return await self.links.of_cell(cell)

        @router.post("/{cell}:cordon")
        async def cordon(caller: Caller, cell: KeepableText, asked: CellRequest) -> CellView:
            """Place no namespaces in the cell; those that live there stay."""
            return await self._change(
                caller,
                "fleet.cells.cordon",
                cell,
                asked,
                "cordon",
                lambda: self.writer.cordon(cell, reason=asked.reason, by=actor(caller)),
            )

        @router.post("/{cell}:uncordon")
        async def uncordon(caller: Caller, cell: KeepableText, asked: CellRequest) -> CellView:
            """Place namespaces in the cell again."""
            return await self._change(
                caller,
                "fleet.cells.cordon",
                cell,
                asked,
                "uncordon",
                lambda: self.writer.uncordon(cell),
            )

        @router.post("/{cell}:lift-quarantine")
        async def lift_quarantine(
            caller: Caller, cell: KeepableText, asked: CellRequest
        ) -> CellView:
            """Let automation near the cell again, once somebody has looked at it."""
            return await self._change(
                caller,
                "fleet.cells.lift-quarantine",
                cell,
                asked,
                "lift quarantine",
                lambda: self.writer.lift_quarantine(cell, by=actor(caller)),
            )

        @router.post("/{cell}:release-visit")
        async def release_visit(caller: Caller, cell: KeepableText, asked: CellRequest) -> CellView:
            """Free the cell from a visit whose workflow was terminated, and tell who asked for it.

            A cell that the visit may have changed is quarantined until somebody has looked at it.
            """
            return await self._change(
                caller,
                "fleet.cells.release-visit",
                cell,
                asked,
                "release visit",
                lambda: self.writer.release_visit(cell, reason=asked.reason, by=actor(caller)),
            )

        return router

    async def _known(self, cell: str) -> CellView:
        found = await self.reads.cell(cell)
        if found is None:
            raise not_found(f"cell {cell!r} not found: `controlplane cell list` shows them all")
        return found

    async def _change(
        self,
        caller: Principal,
        action: str,
        cell: str,
        asked: CellRequest,
        what: str,
        change: Callable[[], Awaitable[CellView]],
    ) -> CellView:
        async def changed() -> CellView:
            before = await self._known(cell)
            after = await change()
            # The entity publishes this too, but later: a read right after this call must see it.
            await self.projection.publish_cell(after)
            note_change(_kept_away(before), _kept_away(after))
            return after

        return await self.calls.change(caller, action, asked, changed, cell=cell, what=what)


def _kept_away(cell: CellView) -> dict[str, JsonValue]:
    return {
        "cordon": _CORDON.dump_python(cell.cordon, mode="json"),
        "quarantine": _CORDON.dump_python(cell.quarantine, mode="json"),
        "visit": "" if cell.visit is None else cell.visit.id,
    }
