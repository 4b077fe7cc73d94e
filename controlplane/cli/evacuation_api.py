"""What the commands ask the Fleet API about emptying cells, and about failovers nobody asks for."""

from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter

from cells.replication.types import LinkHealth
from controlplane.api.availability_types import AvailabilityRequest, NewAvailabilityPolicy
from controlplane.api.evacuation_types import EvacuationControl, EvacuationPage, NewEvacuation
from controlplane.cli.fleet_http import FleetHttp, parse, segment
from controlplane.store.evacuation_projections import EvacuationSummary
from provisioning.automatic.types import AvailabilityView
from provisioning.evacuation.types import EvacuationView

PAGE_SIZE = 100
_VIEW = TypeAdapter(EvacuationView)
_PAGE = TypeAdapter(EvacuationPage)
_LINKS = TypeAdapter(list[LinkHealth])
_AVAILABILITY = TypeAdapter(AvailabilityView)

_AGAIN = "Repeat it: what is done already is not done twice"


@dataclass(frozen=True)
class EvacuationApi:
    """Refusals are raised as CommandFailed."""

    http: FleetHttp

    async def start(self, wanted: NewEvacuation) -> EvacuationView:
        """Begin to empty a cell; asked for again under the same id, it is begun once."""
        answer = await self.http.change(
            "POST", "evacuations", how_to_repeat=_AGAIN, json=_body(wanted)
        )
        return parse(_VIEW, answer)

    async def evacuation(self, evacuation: str) -> EvacuationView:
        return parse(_VIEW, await self.http.get(f"evacuations/{segment(evacuation)}"))

    async def evacuations(self, cell: str = "", limit: int = PAGE_SIZE) -> list[EvacuationSummary]:
        """Return the latest evacuations, newest first; with `cell`, those of that cell."""
        asked = {"cell": cell, "page_size": str(limit)}
        page = parse(_PAGE, await self.http.get("evacuations", asked))
        return list(page.evacuations)

    async def control(self, evacuation: str, wanted: EvacuationControl) -> EvacuationView:
        """Tell an evacuation what is wanted of it; under the same id that is done once."""
        answer = await self.http.change(
            "POST",
            f"evacuations/{segment(evacuation)}:control",
            how_to_repeat=f"Repeat it with --request-id {wanted.id}, and it is done once",
            json=_body(wanted),
        )
        return parse(_VIEW, answer)

    async def links(self, cell: str) -> list[LinkHealth]:
        """Return how well a cell keeps up with others, and they with it."""
        return parse(_LINKS, await self.http.get(f"cells/{segment(cell)}/links"))

    async def availability(self) -> AvailabilityView:
        """Return what was last decided about failovers that nobody asks for."""
        return parse(_AVAILABILITY, await self.http.get("availability"))

    async def pause_availability(self, reason: str) -> AvailabilityView:
        return await self._change("POST", "availability:pause", AvailabilityRequest(reason=reason))

    async def resume_availability(self, reason: str) -> AvailabilityView:
        return await self._change("POST", "availability:resume", AvailabilityRequest(reason=reason))

    async def set_availability_policy(self, wanted: NewAvailabilityPolicy) -> AvailabilityView:
        """Change the rules that are named, and leave the others as they are."""
        return await self._change("PATCH", "availability/policy", wanted)

    async def lift_hold(self, cell: str, reason: str) -> AvailabilityView:
        """Let a cell that came and went be failed over, or returned to, again."""
        path = f"availability/cells/{segment(cell)}:lift-hold"
        return await self._change("POST", path, AvailabilityRequest(reason=reason))

    async def _change(self, method: str, path: str, wanted: BaseModel) -> AvailabilityView:
        answer = await self.http.change(method, path, how_to_repeat=_AGAIN, json=_body(wanted))
        return parse(_AVAILABILITY, answer)


def _body(wanted: BaseModel) -> object:
    """Return a request as JSON has it, with what it says and nothing more."""
    return wanted.model_dump(mode="json", exclude_defaults=True)
