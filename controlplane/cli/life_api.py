"""What the commands ask the Fleet API about the lives of cells in clouds."""

from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter

from cells.life.types import Blueprint, LifeView
from controlplane.api.life_types import Decommission, LifeRequest, NewCell
from controlplane.cli.fleet_http import FleetHttp, parse, segment

_VIEW = TypeAdapter(LifeView)
_VIEWS = TypeAdapter(list[LifeView])
_BLUEPRINT = TypeAdapter(Blueprint)


@dataclass(frozen=True)
class LifeApi:
    """Refusals are raised as CommandFailed."""

    http: FleetHttp

    async def create(self, wanted: NewCell) -> LifeView:
        """Begin to build a cell; asked for again under the same operation, it is begun once."""
        return await self._change("cell-lives", wanted, wanted.operation_id)

    async def preview(self, wanted: NewCell) -> Blueprint:
        """Return what the cell would be; nothing is made."""
        return parse(_BLUEPRINT, await self.http.ask("cell-lives:preview", _body(wanted)))

    async def life(self, cell: str) -> LifeView:
        return parse(_VIEW, await self.http.get(f"cell-lives/{segment(cell)}"))

    async def lives(self, *, gone: bool = False) -> list[LifeView]:
        """Return every life by cell; with `gone`, those that are over as well."""
        asked = {"gone": "true"} if gone else {}
        return parse(_VIEWS, await self.http.get("cell-lives", asked))

    async def retry(self, cell: str, wanted: LifeRequest) -> LifeView:
        """Go on from where it failed."""
        return await self._command(cell, "retry", wanted)

    async def abandon(self, cell: str, wanted: LifeRequest) -> LifeView:
        """Tear down what was begun."""
        return await self._command(cell, "abandon", wanted)

    async def decommission(self, cell: str, wanted: Decommission) -> LifeView:
        """Take down a cell that is ready."""
        return await self._command(cell, "decommission", wanted)

    async def keep(self, cell: str, wanted: LifeRequest) -> LifeView:
        """Call a decommission off."""
        return await self._command(cell, "keep", wanted)

    async def _command(self, cell: str, what: str, wanted: LifeRequest) -> LifeView:
        return await self._change(f"cell-lives/{segment(cell)}:{what}", wanted, wanted.operation_id)

    async def _change(self, path: str, wanted: BaseModel, operation: str) -> LifeView:
        answer = await self.http.change(
            "POST",
            path,
            how_to_repeat=f"Repeat it with --operation-id {operation}, and it is done once",
            json=_body(wanted),
        )
        return parse(_VIEW, answer)


def _body(wanted: BaseModel) -> object:
    """Return a request as JSON has it, with what it says and nothing more."""
    return wanted.model_dump(mode="json", exclude_defaults=True)
