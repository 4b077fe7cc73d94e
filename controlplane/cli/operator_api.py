"""What the commands ask the Fleet API about the fleet itself: cells, ledger, calendar."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from cells.ledger.types import Fenced, LedgerView
from cells.types import CellView
from controlplane.api.operator_types import (
    CalendarDetails,
    CellRequest,
    Fencing,
    NewBlocker,
    NewCalendar,
)
from controlplane.cli.fleet_http import FleetHttp, parse, segment
from controlplane.cli.rollout_api import body

_CELLS = TypeAdapter(list[CellView])
_CELL = TypeAdapter(CellView)
_LEDGER = TypeAdapter(LedgerView)
_FENCED = TypeAdapter(Fenced)
_CALENDAR = TypeAdapter(CalendarDetails)

_AGAIN = "Repeat it: what is done already is not done twice"


@dataclass(frozen=True)
class OperatorApi:
    """The answers in the words of `operator_types`; refusals are raised as CommandFailed."""

    http: FleetHttp

    async def cells(self) -> list[CellView]:
        return parse(_CELLS, await self.http.get("cells"))

    async def cell(self, cell: str) -> CellView:
        return parse(_CELL, await self.http.get(f"cells/{segment(cell)}"))

    async def cordon(self, cell: str, reason: str) -> CellView:
        """Keep new namespaces out of a cell."""
        return await self._change_cell(cell, "cordon", reason)

    async def uncordon(self, cell: str, reason: str) -> CellView:
        return await self._change_cell(cell, "uncordon", reason)

    async def lift_quarantine(self, cell: str, reason: str) -> CellView:
        """Let automation near a cell again."""
        return await self._change_cell(cell, "lift-quarantine", reason)

    async def release_visit(self, cell: str, reason: str) -> CellView:
        """Free a cell from a visit whose workflow does not run any more."""
        return await self._change_cell(cell, "release-visit", reason)

    async def ledger(self) -> LedgerView:
        return parse(_LEDGER, await self.http.get("ledger"))

    async def fence(self, cell: str, wanted: Fencing) -> Fenced:
        """Take a lease from a holder that can do no more."""
        answer = await self.http.change(
            "POST", f"ledger/{segment(cell)}:fence", how_to_repeat=_AGAIN, json=body(wanted)
        )
        return parse(_FENCED, answer)

    async def calendar(self) -> CalendarDetails:
        return parse(_CALENDAR, await self.http.get("calendar"))

    async def set_calendar(self, wanted: NewCalendar) -> CalendarDetails:
        """Replace windows and freezes; refused when the calendar is not the one that was read."""
        answer = await self.http.change(
            "PUT", "calendar", how_to_repeat="`calendar show` tells", json=body(wanted)
        )
        return parse(_CALENDAR, answer)

    async def block(self, wanted: NewBlocker) -> CalendarDetails:
        answer = await self.http.change(
            "POST", "calendar/blockers", how_to_repeat=_AGAIN, json=body(wanted)
        )
        return parse(_CALENDAR, answer)

    async def unblock(self, blocker: str) -> CalendarDetails:
        answer = await self.http.change(
            "DELETE", f"calendar/blockers/{segment(blocker)}", how_to_repeat=_AGAIN
        )
        return parse(_CALENDAR, answer)

    async def _change_cell(self, cell: str, what: str, reason: str) -> CellView:
        answer = await self.http.change(
            "POST",
            f"cells/{segment(cell)}:{what}",
            how_to_repeat=_AGAIN,
            json=body(CellRequest(reason=reason)),
        )
        return parse(_CELL, answer)
