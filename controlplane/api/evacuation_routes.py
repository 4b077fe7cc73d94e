"""The Fleet API's paths about emptying cells: evacuate, drain or drill, follow it, steer it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends
from pydantic import JsonValue

from controlplane.api.changes import note_change
from controlplane.api.evacuation_starts import EvacuationStarts
from controlplane.api.evacuation_types import EvacuationControl, EvacuationPage, NewEvacuation
from controlplane.api.numbered_pages import numbered_page
from controlplane.api.operator_calls import OperatorCalls, actor
from controlplane.api.paging import DEFAULT_PAGE_SIZE
from controlplane.api.ports import EvacuationWriter
from controlplane.api.strict_body import KeepableText
from controlplane.errors import not_found
from controlplane.identity.types import Principal
from controlplane.store.evacuations import Evacuations
from provisioning.evacuation.ports import EvacuationProjection
from provisioning.evacuation.types import Control, EvacuationView


@dataclass(frozen=True)
class EvacuationRoutes:
    calls: OperatorCalls
    evacuations: Evacuations
    starts: EvacuationStarts
    writer: EvacuationWriter
    projection: EvacuationProjection

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter(prefix="/fleet/v1/evacuations")

        @router.post("")
        async def start(caller: Caller, wanted: NewEvacuation) -> EvacuationView:
            """Begin to empty a cell. Repeated under the same id, it is begun once."""
            return await self.calls.change(
                caller, "fleet.evacuations.start", wanted, lambda: self.starts.start(caller, wanted)
            )

        @router.get("")
        async def evacuations(
            caller: Caller,
            cell: KeepableText = "",
            page_size: int = DEFAULT_PAGE_SIZE,
            page_token: KeepableText = "",
        ) -> EvacuationPage:
            """Return the evacuations, newest first; with `cell`, those of that cell."""
            await self.calls.reading(caller, "fleet.evacuations.read")
            page, following = await numbered_page(
                f"evacuations of {cell or '*'}",
                page_size,
                page_token,
                lambda before, limit: self.evacuations.page(cell=cell, before=before, limit=limit),
            )
            return EvacuationPage(tuple(listed.summary for listed in page), following)

        @router.get("/{evacuation}")
        async def one(caller: Caller, evacuation: KeepableText) -> EvacuationView:
            """Return an evacuation as it last published itself, namespace by namespace."""
            await self.calls.reading(caller, "fleet.evacuations.read")
            return await self._known(evacuation)

        @router.post("/{evacuation}:control")
        async def control(
            caller: Caller, evacuation: KeepableText, asked: EvacuationControl
        ) -> EvacuationView:
            """Steer an evacuation: pause, resume, abort, retry, skip, confirm, return."""
            return await self.calls.change(
                caller,
                "fleet.evacuations.control",
                asked,
                lambda: self._control(caller, evacuation, asked),
                evacuation=evacuation,
            )

        return router

    async def _known(self, evacuation: str) -> EvacuationView:
        found = await self.evacuations.get(evacuation)
        if found is None:
            raise not_found(
                f"evacuation {evacuation!r} not found: `controlplane evacuation list` shows them "
                "all"
            )
        return found

    async def _control(
        self, caller: Principal, evacuation: str, asked: EvacuationControl
    ) -> EvacuationView:
        before = await self._known(evacuation)
        after = await self.writer.control(
            before.cell,
            Control(
                id=asked.id or str(uuid4()),
                evacuation=evacuation,
                kind=asked.kind,
                actor=actor(caller),
                reason=asked.reason,
                namespace=asked.namespace,
            ),
        )
        await self.projection.publish_evacuation(after)
        note_change(_steered(before), _steered(after))
        return after


def _steered(view: EvacuationView) -> dict[str, JsonValue]:
    return {"phase": view.phase.value, "paused": view.paused_by}
