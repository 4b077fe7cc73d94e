"""The Fleet API's paths about rollouts: begin one, follow it, steer it, ask it why."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Response
from pydantic import JsonValue

from controlplane.api.changes import note_change
from controlplane.api.explanations import explain, present_plan
from controlplane.api.numbered_pages import numbered_page
from controlplane.api.operator_calls import OperatorCalls, actor
from controlplane.api.paging import (
    DEFAULT_PAGE_SIZE,
    foreign,
    page_size,
    page_start,
    page_token,
)
from controlplane.api.ports import Simulator
from controlplane.api.rollout_starts import RolloutStarts
from controlplane.api.rollout_types import (
    CellExplanation,
    ControlRequest,
    DryRun,
    EventPage,
    NewRollout,
    NewSimulation,
    PresentPlan,
    RecordedEvent,
    RolloutPage,
    RolloutSummary,
)
from controlplane.api.strict_body import KeepableText
from controlplane.errors import invalid_argument, not_found
from controlplane.identity.types import Principal
from controlplane.store.calendars import Calendars
from rollout.policy import default_policy
from rollout.simulation.types import Assumptions, Forecast, Simulation
from rollout.types import Control, ControlKind, RolloutView

_ROLLOUT = "/fleet/v1/rollouts/{rollout}"
_LONGEST = timedelta(days=3660)
_MOST_HISTORY = 1000


@dataclass(frozen=True)
class RolloutRoutes:
    calls: OperatorCalls
    starts: RolloutStarts
    calendars: Calendars
    simulator: Simulator

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter()

        @router.post("/fleet/v1/rollouts")
        async def start(caller: Caller, wanted: NewRollout) -> RolloutView:
            """Begin a rollout. Repeated under the same id, it is begun once."""
            return await self.calls.change(
                caller, "fleet.rollouts.start", wanted, lambda: self.starts.start(caller, wanted)
            )

        @router.post("/fleet/v1/rollouts:plan")
        async def plan(caller: Caller, wanted: NewRollout) -> DryRun:
            """Return what a rollout would do if it began now, cell by cell. Nothing is begun."""
            await self.calls.reading(caller, "fleet.rollouts.plan")
            return await self.starts.plan(caller, wanted)

        @router.post("/fleet/v1/rollouts:simulate")
        async def simulate(caller: Caller, wanted: NewSimulation) -> Forecast:
            """Return what to expect of a rollout, by letting it happen to a simulated fleet."""
            await self.calls.reading(caller, "fleet.rollouts.simulate")
            return await self.simulator.forecast(
                Simulation(
                    await self.starts.request(caller, wanted),
                    await self.starts.inventory.take(),
                    wanted.runs,
                    wanted.seed,
                    Assumptions(**dict(wanted.assumptions)),
                )
            )

        @router.get("/fleet/v1/rollouts")
        async def rollouts(
            caller: Caller, page_size: int = DEFAULT_PAGE_SIZE, page_token: KeepableText = ""
        ) -> RolloutPage:
            """Return the rollouts, newest first."""
            await self.calls.reading(caller, "fleet.rollouts.read")
            page, following = await numbered_page(
                "rollouts",
                page_size,
                page_token,
                lambda before, limit: self.starts.rollouts.page(before=before, limit=limit),
            )
            return RolloutPage(
                tuple(RolloutSummary(**vars(listed.summary)) for listed in page), following
            )

        @router.get(
            _ROLLOUT,
            response_model=RolloutView,
            responses={304: {"description": "It is still as If-None-Match says."}},
        )
        async def rollout(
            caller: Caller,
            rollout: KeepableText,
            if_none_match: Annotated[str | None, Header()] = None,
        ) -> Response:
            """Return a rollout as it last published itself, with its revision as the `ETag`."""
            await self.calls.reading(caller, "fleet.rollouts.read")
            found = await self.starts.rollouts.published(rollout)
            if found is None:
                raise _no_rollout(rollout)
            tagged = {"etag": f'"{found.revision}"'}
            if if_none_match == tagged["etag"]:
                return Response(status_code=304, headers=tagged)
            # As it is kept: reading thousands of cells to write them again takes too long.
            return Response(found.text, media_type="application/json", headers=tagged)

        @router.get(f"{_ROLLOUT}/plan")
        async def its_plan(caller: Caller, rollout: KeepableText) -> PresentPlan:
            """Return what it means to do, and the hash that an approval given now is bound to."""
            return present_plan(await self._seen(caller, rollout))

        @router.get(f"{_ROLLOUT}/events")
        async def events(
            caller: Caller,
            rollout: KeepableText,
            page_size: int = DEFAULT_PAGE_SIZE,
            page_token: KeepableText = "",
        ) -> EventPage:
            """Return what it decided, oldest first, as the audit log has it."""
            view = await self._seen(caller, rollout)
            return await self._events(view, page_size, page_token)

        @router.get(f"{_ROLLOUT}/cells/{{cell}}")
        async def cell(
            caller: Caller, rollout: KeepableText, cell: KeepableText
        ) -> CellExplanation:
            """Return why a cell is where it is, and what it waits for."""
            return await self._explained(await self._seen(caller, rollout), cell)

        @router.post(f"{_ROLLOUT}:control")
        async def control(
            caller: Caller, rollout: KeepableText, asked: ControlRequest
        ) -> RolloutView:
            """Steer a rollout: pause, resume, approve, roll back and the like."""
            return await self.calls.change(
                caller,
                "fleet.rollouts.control",
                asked,
                lambda: self._control(caller, rollout, asked),
                rollout=rollout,
            )

        return router

    async def _seen(self, caller: Principal, rollout: str) -> RolloutView:
        await self.calls.reading(caller, "fleet.rollouts.read")
        return await self._known(rollout)

    async def _known(self, rollout: str) -> RolloutView:
        view = await self.starts.rollouts.get(rollout)
        if view is None:
            raise _no_rollout(rollout)
        return view

    async def _control(self, caller: Principal, rollout: str, asked: ControlRequest) -> RolloutView:
        if asked.kind is ControlKind.SUPERSEDE:
            raise invalid_argument(
                "a rollout is superseded by another one, whose policy says so: start that one with "
                "supersession: supersede"
            )
        if asked.until is not None and asked.until > datetime.now(UTC) + _LONGEST:
            raise invalid_argument(f"until is {asked.until}: ten years from now at most")
        before = await self._known(rollout)
        view = await self.starts.writer.control(
            rollout,
            Control(
                id=asked.id or str(uuid4()),
                kind=asked.kind,
                actor=actor(caller),
                reason=asked.reason,
                cell=asked.cell,
                ring=asked.ring,
                plan=asked.plan,
                evidence=asked.evidence,
                gate=asked.gate,
                until=asked.until,
                scope=asked.scope,
            ),
        )
        # The rollout publishes this too, but later: a read right after this call must see it.
        await self.starts.projection.publish_rollout(view)
        note_change(_steered(before), _steered(view))
        return view

    async def _events(self, view: RolloutView, asked: int, token: str) -> EventPage:
        listing, size = f"events of {view.id}", page_size(asked)
        start = page_start(listing, token) or "0"
        if not start.isdecimal() or len(start) > 18:
            raise foreign(token)
        found = await self.starts.rollouts.events(view.id, after=int(start), limit=size + 1)
        page, more = found[:size], len(found) > size
        following = page_token(listing, str(page[-1].number)) if page else token
        return EventPage(tuple(RecordedEvent(view.id, event) for event in page), following, more)

    async def _explained(self, view: RolloutView, cell: str) -> CellExplanation:
        request = await self.starts.rollouts.request(view.id)
        policy = default_policy() if request is None else request.policy
        return explain(
            view,
            cell,
            await self.starts.reads.cell(cell),
            (await self.calendars.read()).calendar,
            policy.visit_takes,
            await self.starts.rollouts.events(view.id, cell=cell, limit=_MOST_HISTORY),
            datetime.now(UTC),
        )


def _no_rollout(rollout: str) -> Exception:
    return not_found(f"rollout {rollout!r} not found: `controlplane rollout list` shows them all")


def _steered(view: RolloutView) -> dict[str, JsonValue]:
    return {"phase": view.phase.value, "paused": view.paused_by}
