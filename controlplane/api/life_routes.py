"""The Fleet API's paths about the lives of cells in clouds: build one, follow it, take it down."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends

from cells.life.types import Blueprint, LifeCommandKind, LifeView
from controlplane.api.changes import note_change
from controlplane.api.life_requests import LifeRequests
from controlplane.api.life_types import Decommission, LifeRequest, NewCell
from controlplane.api.operator_calls import OperatorCalls
from controlplane.api.strict_body import KeepableText
from controlplane.errors import not_found
from controlplane.identity.types import Principal
from controlplane.store.cell_lives import CellLives


@dataclass(frozen=True)
class LifeRoutes:
    calls: OperatorCalls
    lives: CellLives
    requests: LifeRequests

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter(prefix="/fleet/v1/cell-lives")

        @router.post("")
        async def create(caller: Caller, wanted: NewCell) -> LifeView:
            """Begin to build a cell. Repeated under the same operation, it is begun once."""
            return await self.calls.change(
                caller,
                "fleet.cell-lives.create",
                wanted,
                lambda: self.requests.create(caller, wanted),
            )

        @router.post(":preview")
        async def preview(caller: Caller, wanted: NewCell) -> Blueprint:
            """Return what a cell would be if it were asked for now. Changes nothing."""
            await self.calls.reading(caller, "fleet.cell-lives.preview")
            return await self.requests.preview(caller, wanted)

        @router.get("")
        async def lives(caller: Caller, *, gone: bool = False) -> list[LifeView]:
            """Return the lives of cells in clouds, by cell; with `gone`, those that are over."""
            await self.calls.reading(caller, "fleet.cell-lives.read")
            return await self.lives.all(gone=gone)

        @router.get("/{cell}")
        async def one(caller: Caller, cell: KeepableText) -> LifeView:
            """Return the life of a cell, layer by layer, as it last published itself."""
            await self.calls.reading(caller, "fleet.cell-lives.read")
            return await self._known(cell)

        @router.post("/{cell}:retry")
        async def retry(caller: Caller, cell: KeepableText, asked: LifeRequest) -> LifeView:
            """Go on from the layer that failed, or look now at what is waited for."""
            return await self._command(caller, cell, LifeCommandKind.RETRY, asked)

        @router.post("/{cell}:abandon")
        async def abandon(caller: Caller, cell: KeepableText, asked: LifeRequest) -> LifeView:
            """Tear down what was begun of a cell that was never ready."""
            return await self._command(caller, cell, LifeCommandKind.ABANDON, asked)

        @router.post("/{cell}:decommission")
        async def decommission(caller: Caller, cell: KeepableText, asked: Decommission) -> LifeView:
            """Take down a cell that is ready, once no namespace lives there any more."""
            kind = LifeCommandKind.DECOMMISSION
            return await self._command(caller, cell, kind, asked, drain=asked.drain)

        @router.post("/{cell}:keep")
        async def keep(caller: Caller, cell: KeepableText, asked: LifeRequest) -> LifeView:
            """Call a decommission off, as long as nothing is dismantled."""
            return await self._command(caller, cell, LifeCommandKind.KEEP, asked)

        return router

    async def _known(self, cell: str) -> LifeView:
        found = await self.lives.get(cell)
        if found is None:
            raise not_found(
                f"no life of cell {cell!r} is known: `controlplane cell lives --all` shows every "
                "cell that was built here"
            )
        return found

    async def _command(
        self,
        caller: Principal,
        cell: str,
        kind: LifeCommandKind,
        asked: LifeRequest,
        *,
        drain: bool = False,
    ) -> LifeView:
        async def told() -> LifeView:
            before = await self._known(cell)
            after = await self.requests.command(caller, cell, kind, asked, drain=drain)
            note_change({"phase": before.phase.value}, {"phase": after.phase.value})
            return after

        return await self.calls.change(
            caller,
            "fleet.cell-lives.control",
            asked,
            told,
            cell=cell,
            what=kind.value.lower(),
        )
