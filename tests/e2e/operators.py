"""Operators of a fleet: what they ask of the Fleet API, and wait for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import TypeAdapter

from rollout.types import Phase, RolloutView
from tests.eventually import eventually
from tests.fleet import RunningFleet

_VIEW = TypeAdapter(RolloutView)

IMPATIENT = {
    "rings": [
        {"ring": ring, "batch_bake": "PT2S", "ring_bake": "PT3S", "tolerance": "0", "approvals": 0}
        for ring in range(4)
    ],
    "visit": {"settle": "PT1S", "verify_for": "PT2S", "healthy_within": "PT60S"},
    "rollback": "batch",
}
"""The rules of a fleet whose bakes take seconds; everything else is as by default."""


@dataclass(frozen=True)
class Operator:
    http: httpx.AsyncClient

    async def release(self, name: str, **content: object) -> None:
        await self.post("/fleet/v1/releases", {"name": name, **content})

    async def start(self, release: str, **wishes: object) -> str:
        """Start a rollout and return its id."""
        body = {"release": release, "reason": "a test", **wishes}
        started: str = (await self.post("/fleet/v1/rollouts", body))["id"]
        return started

    async def rollout(self, rollout: str) -> RolloutView:
        return _VIEW.validate_python(await self.get(f"/fleet/v1/rollouts/{rollout}"))

    async def until(self, rollout: str, *phases: Phase, within: float) -> RolloutView:
        """Return the rollout once it is in one of these phases."""
        view = await self.rollout(rollout)

        async def there() -> bool:
            nonlocal view
            view = await self.rollout(rollout)
            return view.phase in phases

        try:
            await eventually(there, within=within, every=0.5)
        except TimeoutError:
            waits = sorted({f"{w.cell}: {w.code.value}: {w.message}" for w in view.waits})
            events = [f"{e.at:%H:%M:%S} {e.what} {e.cell}: {e.message}" for e in view.events]
            raise AssertionError(
                "\n".join([f"{view.phase}", view.message, *waits, *events])
            ) from None
        return view

    async def servers(self) -> dict[str, str]:
        """Return the server version of each cell, as it was last seen."""
        return {cell["id"]: cell["server_version"] for cell in await self.get("/fleet/v1/cells")}

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.is_success, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def post(self, path: str, body: object) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.is_success, f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json()


@asynccontextmanager
async def operator_of(fleet: RunningFleet) -> AsyncIterator[Operator]:
    """Yield the operator that an embedded fleet's first account is."""
    headers = {"Authorization": f"Bearer {fleet.api_key}"}
    async with httpx.AsyncClient(base_url=fleet.url, headers=headers, timeout=30) as http:
        yield Operator(http)
