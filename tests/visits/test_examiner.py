"""A real cell examined from outside: what stands still is found, and so is its way back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from cells.runtime.deep_health import problems_in
from cells.runtime.examiner import AddressExaminer
from cells.runtime.observer import AddressObserver
from cells.types import CellSpec
from controlplane.ids import ACCOUNT_ID, account_of
from controlplane.secrets.port import namespace_certificate
from provisioning.cell_canary import CellCanary, canary_of
from provisioning.certificates.authority import FleetAuthority
from provisioning.certificates.x509 import CertificateAndKey
from provisioning.plan import RENEW_BEFORE
from tests.cells.ingress import processes
from tests.cells.ingress.small_cell import CELL, new_tenant
from tests.engine import cell_spec
from tests.eventually import eventually
from tests.postgres import RunningPostgres
from tests.provisioning.whole_cell import WholeCell, running_whole_cell

PATIENCE = 60
"""Seconds: other tests keep the machine busy."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cell")


@pytest.fixture(scope="module")
async def cell(postgres: RunningPostgres, folder: Path) -> AsyncIterator[WholeCell]:
    async with running_whole_cell(postgres, folder) as running:
        yield running
        # Its roles are those of the whole server, where another test may have a cell of this name.
        await running.databases.remove(canary_of(CELL))


@pytest.fixture(scope="module")
async def replacements() -> AsyncIterator[AsyncExitStack]:
    """Processes that stand in for those that were killed."""
    async with AsyncExitStack() as running:
        yield running


@pytest.fixture
def spec(cell: WholeCell) -> CellSpec:
    return replace(cell_spec(ring=0), addresses=cell.directory.addresses[CELL])


def canary_in(cell: WholeCell) -> CellCanary:
    return CellCanary(
        zone="fleet.test",
        databases=cell.databases,
        certificates=cell.authority,
        registrar=cell.registrar,
        ingress=cell.ingress,
        secrets=cell.secrets,
    )


def child(argument: str) -> psutil.Process:
    """Return the one process of this test whose command line has that in it."""
    children = psutil.Process().children(recursive=True)
    (found,) = [child for child in children if argument in " ".join(child.cmdline())]
    return found


async def test_a_part_that_stands_still_is_found_and_so_is_its_way_back(
    cell: WholeCell, spec: CellSpec, folder: Path, replacements: AsyncExitStack
) -> None:
    examiner = AddressExaminer(AddressObserver(cell.secrets), canary_in(cell))

    async def is_well() -> bool:
        return not await examiner.examine(CELL, spec)

    await eventually(is_well, within=PATIENCE)

    os.kill(cell.cell.envoy_pid, signal.SIGKILL)
    part, canary = await examiner.examine(CELL, spec)
    assert part.startswith(f"the ingress at {spec.addresses.ingress_admin} fails")
    assert canary.startswith("the canary did not come back: ")
    assert len(await examiner.health(CELL, spec)) == len(await examiner.canaries(CELL, spec)) == 1
    await replacements.enter_async_context(processes.envoy(cell.cell.ingress))
    await eventually(is_well, within=PATIENCE)

    child(str(folder / "gatekeeper.json")).kill()
    part, canary = await examiner.examine(CELL, spec)
    assert part.startswith(f"the gatekeeper at {spec.addresses.gatekeeper} fails")
    assert canary.startswith("the canary did not come back: ")
    await replacements.enter_async_context(processes.gatekeeper(cell.cell.gatekeeper, folder))
    await eventually(is_well, within=PATIENCE)

    server = child(str(folder / "cell.db"))
    server.suspend()
    part, canary = await examiner.examine(CELL, spec)
    assert part == f"Temporal at {spec.addresses.frontend} does not answer"
    assert canary.startswith("the canary did not come back: ")
    server.resume()
    await eventually(is_well, within=PATIENCE)


async def test_a_canary_makes_what_it_needs_once_and_again_when_it_is_gone(
    cell: WholeCell, spec: CellSpec
) -> None:
    canary, target = canary_in(cell), canary_of(CELL)
    await canary.fly(CELL, spec)
    certificate = await cell.secrets.get(namespace_certificate(target.namespace))
    admission = await cell.ingress.observe(target)

    await canary.ensure(CELL)
    await canary_in(cell).fly(CELL, spec)

    assert await cell.secrets.get(namespace_certificate(target.namespace)) == certificate
    assert await cell.ingress.observe(target) == admission

    await cell.registrar.deregister(target)
    examiner = AddressExaminer(AddressObserver(cell.secrets), canary)

    async def is_well() -> bool:
        return not await examiner.examine(CELL, spec)

    await eventually(is_well, within=PATIENCE)
    assert await cell.registrar.observe(target) is not None


async def test_a_certificate_that_ends_soon_is_renewed_in_time(
    cell: WholeCell, spec: CellSpec
) -> None:
    target = canary_of(CELL)
    await cell.authority.destroy(target)
    short = FleetAuthority(cell.secrets, validity=RENEW_BEFORE + timedelta(seconds=1))
    await replace(canary_in(cell), certificates=short).fly(CELL, spec)
    before = await cell.secrets.get(namespace_certificate(target.namespace))

    async def ends_soon() -> bool:
        assert before is not None
        end = CertificateAndKey.from_pem(before).certificate.not_valid_after_utc
        return end - datetime.now(UTC) < RENEW_BEFORE

    await eventually(ends_soon)

    await canary_in(cell).fly(CELL, spec)

    assert await cell.secrets.get(namespace_certificate(target.namespace)) != before


async def test_canaries_of_several_processes_do_not_cut_each_other_short(
    cell: WholeCell, spec: CellSpec
) -> None:
    canaries = [canary_in(cell) for _ in range(4)]
    await canaries[0].fly(CELL, spec)

    await asyncio.gather(*(canary.fly(CELL, spec) for canary in canaries for _ in range(3)))


async def test_nobody_but_the_control_plane_gets_in_to_a_canary(
    cell: WholeCell, spec: CellSpec
) -> None:
    await canary_in(cell).fly(CELL, spec)

    with pytest.raises(RuntimeError, match="connect"):
        await cell.cell.connect(new_tenant(canary_of(CELL).namespace))


def test_the_account_of_canaries_cannot_be_a_tenants() -> None:
    assert ACCOUNT_ID.fullmatch(account_of(canary_of(CELL).namespace)) is None


def test_a_service_that_is_not_well_names_the_host_and_the_check() -> None:
    check = _field(1, b"rpc_latency") + bytes([2 << 3, 2]) + _field(5, b"latency of 900 ms")
    good = _field(1, b"grpc_health") + bytes([2 << 3, 1])
    host = _field(1, b"10.0.0.7:7234") + bytes([2 << 3, 2]) + _field(3, good) + _field(3, check)
    service = _field(1, b"history") + bytes([2 << 3, 2]) + _field(3, host)
    sick = bytes([1 << 3, 2]) + _field(2, service)

    assert problems_in(sick) == ["history at 10.0.0.7:7234: latency of 900 ms"]
    assert problems_in(bytes([1 << 3, 2])) == ["it is NOT_SERVING"]
    assert problems_in(b"") == ["it is UNSPECIFIED"]
    assert problems_in(bytes([1 << 3, 1])) == []


def _field(number: int, value: bytes) -> bytes:
    """Return a field of bytes as protocol buffers write it."""
    return bytes([number << 3 | 2, len(value)]) + value
