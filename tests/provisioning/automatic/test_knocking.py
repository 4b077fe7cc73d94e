"""Knocking at real processes: a Temporal server and an Envoy that stop, stand still, and die."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from cells.types import CellView
from provisioning.automatic.knocking import KnockingProber
from provisioning.automatic.sight import ProbeReport, Trouble
from tests.cells.ingress import processes
from tests.cells.ingress.small_cell import SmallCell, small_cell
from tests.engine import REGION, cell_spec, cell_view
from tests.eventually import eventually
from tests.postgres import RunningPostgres

SERVED, DEAD = "served", "dead"
PATIENCE = 120.0
"""Seconds. A prober that is held up itself does not judge, and the machine may be busy."""


@dataclass(frozen=True)
class Known:
    """A directory of cells."""

    views: tuple[CellView, ...]

    async def cells(self) -> tuple[CellView, ...]:
        return self.views


@pytest.fixture(scope="module")
async def served(
    postgres: RunningPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SmallCell]:
    """A cell of this module alone, as it is to suffer."""
    folder = tmp_path_factory.mktemp("knocked-at")
    async with (
        processes.temporal_server(folder, []) as frontend,
        small_cell(postgres, folder, frontend) as cell,
    ):
        yield cell


@pytest.fixture
def prober(served: SmallCell) -> KnockingProber:
    ingress = served.ingress
    return KnockingProber(Known((cell_at(SERVED, ingress.frontend, ingress.listen),)))


def cell_at(cell: str, frontend: str, ingress: str) -> CellView:
    spec = cell_spec()
    addresses = replace(spec.addresses, frontend=frontend, ingress=ingress)
    return cell_view(cell, replace(spec, addresses=addresses))


async def found_lost(prober: KnockingProber) -> Trouble:
    """Knock until it is certain that something is lost."""
    reports: list[ProbeReport] = []

    async def certain() -> bool:
        reports.append(await prober.probe(REGION))
        return bool(reports[-1].lost)

    await eventually(certain, within=PATIENCE)
    return reports[-1].lost[0]


async def finds_well(prober: KnockingProber) -> None:
    async def well() -> bool:
        return (await prober.probe(REGION)).well == (SERVED,)

    await eventually(well, within=PATIENCE)


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Let a process answer nothing, though the kernel still takes connections for it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def temporal_pid(served: SmallCell) -> int:
    port = served.ingress.frontend.rpartition(":")[2]
    return next(
        child.pid for child in psutil.Process().children(recursive=True) if port in child.cmdline()
    )


async def test_a_cell_that_serves_is_well(prober: KnockingProber) -> None:
    await finds_well(prober)


async def test_a_temporal_service_that_stands_still_is_lost_until_it_goes_on(
    prober: KnockingProber, served: SmallCell
) -> None:
    with standing_still(temporal_pid(served)):
        trouble = await found_lost(prober)
        assert trouble.why == "Temporal gives no answer within 3 s"
        assert not trouble.frontend_answers

    await finds_well(prober)


async def test_an_ingress_that_stands_still_is_lost_though_its_temporal_answers(
    prober: KnockingProber, served: SmallCell
) -> None:
    with standing_still(served.envoy_pid):
        trouble = await found_lost(prober)
        assert trouble.why == "the ingress gives no answer within 3 s"
        assert trouble.frontend_answers

    await finds_well(prober)


async def test_parts_that_are_gone_are_lost_and_named(tmp_path: Path) -> None:
    async with processes.temporal_server(tmp_path, []) as frontend:
        pass
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"127.0.0.1:{free.getsockname()[1]}"

    trouble = await found_lost(KnockingProber(Known((cell_at(DEAD, frontend, nobody),))))

    temporal, ingress = trouble.why.split("; the ingress: ")
    assert temporal.startswith("Temporal: ")
    assert "refused" in temporal
    assert "failed" in ingress
    assert not trouble.frontend_answers


async def test_a_frontend_that_says_it_does_not_serve_is_lost(served: SmallCell) -> None:
    """The gatekeeper answers the same question, and knows no such service."""
    listen = served.gatekeeper.health_listen
    view = cell_at(DEAD, listen, served.ingress.listen)

    trouble = await found_lost(KnockingProber(Known((view,))))

    assert trouble.why.startswith("Temporal: ")
    assert not trouble.frontend_answers


async def test_a_prober_that_was_held_up_itself_does_not_judge() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = f"127.0.0.1:{silent.getsockname()[1]}"
        probing = asyncio.create_task(
            KnockingProber(Known((cell_at(DEAD, nobody, nobody),))).probe(REGION)
        )
        await asyncio.sleep(0.5)
        time.sleep(1)  # noqa: ASYNC251 - nothing else of this process gets its turn
        report = await probing

    assert report.lost == ()
    (unsure,) = report.unsure
    assert unsure.cell == DEAD
    assert "itself, then: Temporal gives no answer" in unsure.why


async def test_cells_that_are_silent_do_not_keep_the_others_waiting(served: SmallCell) -> None:
    ingress = served.ingress
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = f"127.0.0.1:{silent.getsockname()[1]}"
        views = (
            *(cell_at(f"{DEAD}{n}", nobody, nobody) for n in range(20)),
            cell_at(SERVED, ingress.frontend, ingress.listen),
        )
        before = time.monotonic()
        report = await KnockingProber(Known(views)).probe(REGION)

    assert report.well == (SERVED,)
    assert len(report.lost) + len(report.unsure) == 20
    assert time.monotonic() - before < 60, "one after the other it would take 100"
