"""A whole fleet whose cells run other servers than we bring, and a Prometheus beside it."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Software
from controlplane.local.cells import CELLS, CellLayout
from controlplane.local.home import Home
from controlplane.local.processes import marked_processes
from controlplane.local.prometheus import PROMETHEUS
from controlplane.local.runtime import LocalRuntime
from tests.eventually import eventually
from tests.fleet import RunningFleet, controlplane, running_fleet
from tests.prometheus import prometheus_binaries

FIRST, NEXT = "1.30.2", "1.31.2"
SCRAPED_WITHIN = 60


def pids(home: Path) -> dict[str, int]:
    return {marked.program: marked.process.pid for marked in marked_processes(home)}


async def versions(fleet: RunningFleet) -> list[str]:
    status = await fleet.status()
    assert status["up"], status["cells"]
    return [cell["version"] for cell in status["cells"]]


async def asked(fleet: RunningFleet, query: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://{fleet.record.address(PROMETHEUS)}/api/v1/query"
        answer = await client.get(url, params={"query": query})
    return [found["metric"] for found in answer.json()["data"]["result"]]


@pytest.mark.timeout(600)
async def test_cells_keep_their_own_versions_and_are_scraped_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{prometheus_binaries()}{os.pathsep}{os.environ['PATH']}")
    changed, *others = CELLS
    async with running_fleet(tmp_path / "home", "--server-version", FIRST) as fleet:
        home = Home(fleet.home)
        assert await versions(fleet) == [FIRST] * len(CELLS)
        before = pids(fleet.home)

        spec = CellLayout(changed, home, home.load()).spec
        _, again = await asyncio.gather(
            LocalRuntime(home).deploy(changed.id, spec, Software(NEXT), 1), fleet.cli("up")
        )

        assert again.code == 0, again.err
        assert await versions(fleet) == [NEXT] + [FIRST] * len(others)
        after = pids(fleet.home)
        assert {name for name in after if after[name] != before[name]} == {changed.temporal}

        brought = home.load().versions["controlplane"]
        rebuilt = Software(NEXT, ingress_version=f"{brought}+2")
        deployed = await LocalRuntime(home).deploy(changed.id, spec, rebuilt, 2)
        assert deployed.gap.total_seconds() == 0
        assert (await fleet.status())["up"]
        newest = pids(fleet.home)
        assert {name for name in after if newest[name] != after[name]} == {
            changed.gatekeeper,
            changed.envoy,
        }
        with pytest.raises(ApplicationError, match=r"ingress 9\.9 is not here"):
            await LocalRuntime(home).deploy(changed.id, spec, Software(NEXT, "9.9"), 3)

        async def each_is_scraped() -> bool:
            found = await asked(fleet, "group by (cell, ring, build_version) (build_information)")
            told = {(f["cell"], f["ring"], f["build_version"].replace("_", ".")) for f in found}
            return told >= {
                (cell.id, str(cell.ring), NEXT if cell == changed else FIRST) for cell in CELLS
            }

        await eventually(each_is_scraped, within=SCRAPED_WITHIN, every=0.5)
        # More than one when its port was taken meanwhile, and it moved to another.
        found = await asked(fleet, f'up{{cell="{changed.id}"}} == 1')
        assert {(up["region"], up["provider"]) for up in found} == {
            (changed.region, changed.provider)
        }

        assert (await fleet.cli("down")).code == 0
        refused = await controlplane("up", "--server-version", "1.32.0", home=fleet.home)
        assert refused.code == 1
        assert f"run Temporal {FIRST}, {NEXT} already" in refused.err
        assert (await fleet.cli("up")).code == 0
        assert await versions(fleet) == [NEXT] + [FIRST] * len(others)
