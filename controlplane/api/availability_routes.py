"""The Fleet API's paths about failovers that nobody asks for: what was decided, and why."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import JsonValue, TypeAdapter

from controlplane.api.availability_types import AvailabilityRequest, NewAvailabilityPolicy
from controlplane.api.changes import note_change
from controlplane.api.operator_calls import OperatorCalls, actor
from controlplane.api.ports import AvailabilityWriter
from controlplane.api.strict_body import KeepableText, StrictBody
from controlplane.errors import not_found
from controlplane.identity.types import Principal
from controlplane.store.availability import AvailabilityProjections
from controlplane.store.queries import ReadModel
from provisioning.automatic.types import (
    AvailabilityPolicy,
    AvailabilityView,
    LiftCellHold,
    PauseAvailability,
    ResumeAvailability,
    SetAvailabilityPolicy,
)

_POLICY = TypeAdapter(AvailabilityPolicy)


@dataclass(frozen=True)
class AvailabilityRoutes:
    calls: OperatorCalls
    reads: ReadModel
    decisions: AvailabilityProjections
    writer: AvailabilityWriter

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter(prefix="/fleet/v1/availability")

        @router.get("")
        async def availability(caller: Caller) -> AvailabilityView:
            """Return what is believed of each cell, by whose word, and what comes of it."""
            await self.calls.reading(caller, "fleet.availability.read")
            return await self._known()

        @router.post(":pause")
        async def pause(caller: Caller, asked: AvailabilityRequest) -> AvailabilityView:
            """Fail nothing over that nobody asked for; the watch goes on."""
            request = PauseAvailability(actor(caller), asked.reason)
            return await self._change(caller, asked, lambda: self.writer.pause(request), "pause")

        @router.post(":resume")
        async def resume(caller: Caller, asked: AvailabilityRequest) -> AvailabilityView:
            """Fail over again what is lost."""
            request = ResumeAvailability(actor(caller), asked.reason)
            return await self._change(caller, asked, lambda: self.writer.resume(request), "resume")

        @router.patch("/policy")
        async def set_policy(caller: Caller, asked: NewAvailabilityPolicy) -> AvailabilityView:
            """Change the rules that are named, and leave the others as they are."""

            async def change() -> AvailabilityView:
                policy = asked.policy.over((await self._known()).policy)
                request = SetAvailabilityPolicy(policy, actor(caller), asked.reason)
                return await self.writer.set_policy(request)

            return await self._change(caller, asked, change, "set policy")

        @router.post("/cells/{cell}:lift-hold")
        async def lift_hold(
            caller: Caller, cell: KeepableText, asked: AvailabilityRequest
        ) -> AvailabilityView:
            """Let a cell that came and went be failed over, or returned to, again."""

            async def change() -> AvailabilityView:
                if await self.reads.cell(cell) is None:
                    raise not_found(
                        f"cell {cell!r} not found: `controlplane cell list` shows them all"
                    )
                return await self.writer.lift_hold(LiftCellHold(cell, actor(caller), asked.reason))

            return await self._change(caller, asked, change, "lift hold", cell=cell)

        return router

    async def _known(self) -> AvailabilityView:
        found = await self.decisions.read()
        if found is None:
            raise not_found(
                "nothing watches over the fleet yet, and nothing was decided: a worker that is "
                "started begins it"
            )
        return found

    async def _change(
        self,
        caller: Principal,
        asked: StrictBody,
        change: Callable[[], Awaitable[AvailabilityView]],
        what: str,
        **about: str,
    ) -> AvailabilityView:
        async def changed() -> AvailabilityView:
            before = await self.decisions.read()
            after = await change()
            # The workflow publishes this too, but later: a read right after this call must see it.
            await self.decisions.publish_availability(after)
            note_change(None if before is None else _steered(before), _steered(after))
            return after

        action = "fleet.availability.control"
        return await self.calls.change(caller, action, asked, changed, what=what, **about)


def _steered(view: AvailabilityView) -> dict[str, JsonValue]:
    paused = "" if view.paused is None else f"{view.paused.by}: {view.paused.reason}"
    return {"paused": paused, "policy": _POLICY.dump_python(view.policy, mode="json")}
