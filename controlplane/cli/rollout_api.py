"""What the commands ask the Fleet API about releases and rollouts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter

from cells.types import CellView
from controlplane.api.rollout_types import (
    CellExplanation,
    ControlRequest,
    DryRun,
    EventPage,
    NewRelease,
    NewRollout,
    NewSimulation,
    PresentPlan,
    RecordedEvent,
    ReleaseDetails,
    ReleasePage,
    RolloutPage,
    RolloutSummary,
)
from controlplane.cli.connection import Connection
from controlplane.cli.fleet_http import FleetHttp, parse, segment
from rollout.simulation.types import Forecast
from rollout.types import RolloutView

T = TypeVar("T")

PAGE_SIZE = 1000
LATEST = 100
SIMULATED_WITHIN_SECONDS = 600.0


@dataclass(frozen=True)
class RolloutApi:
    """The answers in the words of `rollout_types`; refusals are raised as CommandFailed."""

    connection: Connection
    http: FleetHttp

    async def create_release(self, release: NewRelease) -> ReleaseDetails:
        """Create a release; one of the same name and content is answered as the first time."""
        answer = await self.http.change(
            "POST",
            "releases",
            how_to_repeat="Repeat it: what is created already is not created twice",
            json=body(release),
        )
        return parse(TypeAdapter(ReleaseDetails), answer)

    async def releases(self) -> list[ReleaseDetails]:
        """Return every release, newest first."""
        found: list[ReleaseDetails] = []
        token = ""
        while True:
            page = await self._get(ReleasePage, "releases", _page(token))
            found.extend(page.releases)
            token = page.next_page_token
            if not token:
                return found

    async def release(self, name: str) -> ReleaseDetails:
        return await self._get(ReleaseDetails, f"releases/{segment(name)}")

    async def dry_run(self, wanted: NewRollout) -> DryRun:
        """Return what a rollout would do now."""
        answer = await self.http.ask("rollouts:plan", body(wanted))
        return parse(TypeAdapter(DryRun), answer)

    async def simulate(self, wanted: NewSimulation) -> Forecast:
        """Return what to expect of the rollout, by simulated fleets like the present one."""
        answer = await self.http.ask("rollouts:simulate", body(wanted), SIMULATED_WITHIN_SECONDS)
        return parse(TypeAdapter(Forecast), answer)

    async def start(self, wanted: NewRollout) -> RolloutView:
        """Begin a rollout; begun again under the same id, it is begun once."""
        repeat = f"Repeat it with --id {wanted.id}" if wanted.id else "Repeat it while it runs"
        answer = await self.http.change(
            "POST",
            "rollouts",
            how_to_repeat=f"{repeat}, and it is begun once",
            json=body(wanted),
        )
        return parse(TypeAdapter(RolloutView), answer)

    async def rollouts(self) -> list[RolloutSummary]:
        """Return every rollout, newest first."""
        found: list[RolloutSummary] = []
        token = ""
        while True:
            page = await self._get(RolloutPage, "rollouts", _page(token))
            found.extend(page.rollouts)
            token = page.next_page_token
            if not token:
                return found

    async def latest(self) -> list[RolloutSummary]:
        """Return the newest rollouts, as many as come at once."""
        page = await self._get(RolloutPage, "rollouts", {"page_size": str(LATEST)})
        return list(page.rollouts)

    async def rollout(self, rollout: str) -> RolloutView:
        return await self._get(RolloutView, _rollout(rollout))

    async def explain(self, rollout: str, cell: str) -> CellExplanation:
        """Return why a cell is where it is in a rollout."""
        return await self._get(CellExplanation, f"{_rollout(rollout)}/cells/{segment(cell)}")

    async def present_plan(self, rollout: str) -> PresentPlan:
        """Return what the rollout means to do, and the hash that an approval is bound to."""
        return await self._get(PresentPlan, f"{_rollout(rollout)}/plan")

    async def events(self, rollout: str, token: str) -> EventPage:
        """Return what was decided since the page that the token is from, oldest first."""
        return await self._get(EventPage, f"{_rollout(rollout)}/events", _page(token))

    async def all_events(self, rollout: str) -> list[RecordedEvent]:
        found: list[RecordedEvent] = []
        token, more = "", True
        while more:
            page = await self.events(rollout, token)
            found.extend(page.events)
            token, more = page.next_page_token, page.more
        return found

    async def control(self, rollout: str, wanted: ControlRequest) -> RolloutView:
        """Tell a rollout what is wanted of it; told again under the same id, it is done once."""
        answer = await self.http.change(
            "POST",
            f"{_rollout(rollout)}:control",
            how_to_repeat=f"Repeat it with --request-id {wanted.id}, and it is done once",
            json=body(wanted),
        )
        return parse(TypeAdapter(RolloutView), answer)

    async def cells(self) -> list[CellView]:
        return await self._get(list[CellView], "cells")

    async def _get(self, kind: type[T], path: str, params: Mapping[str, str] | None = None) -> T:
        return parse(TypeAdapter(kind), await self.http.get(path, params))


def _rollout(rollout: str) -> str:
    return f"rollouts/{segment(rollout)}"


def _page(token: str) -> dict[str, str]:
    return {"page_size": str(PAGE_SIZE), **({"page_token": token} if token else {})}


def body(wanted: BaseModel) -> object:
    """Return a request as JSON has it."""
    return wanted.model_dump(mode="json", exclude_none=True)
