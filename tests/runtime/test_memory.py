"""What can be planned against cells that are kept in memory."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Release, Software
from cells.runtime.memory import Effect, Fault, MemoryRuntime, PlannedFault
from cells.types import Capacity, CellAddresses, CellSpec, Provider
from controlplane.errors import ErrorType

OLD, NEW = Software("1.31.2"), Software("1.32.0")
SPEC = CellSpec(
    Provider.GCP,
    "gcp-us-central1",
    1,
    OLD.server_version,
    Capacity(1, 1),
    CellAddresses("", "", "", "", ""),
)


async def deploy(runtime: MemoryRuntime, software: Software, generation: int = 1) -> None:
    deployed = await runtime.deploy("one", SPEC, software, generation)
    assert deployed.server_version == software.server_version


async def test_a_fault_hits_its_cell_and_version_as_often_as_planned() -> None:
    runtime = MemoryRuntime(faults=[PlannedFault(Fault.FAILS, "one", NEW.server_version, times=2)])
    await runtime.deploy("other", SPEC, NEW, 1)
    await deploy(runtime, OLD)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await deploy(runtime, NEW)
        assert await runtime.running("one", SPEC) == OLD
    await deploy(runtime, NEW)


async def test_a_lost_reply_leaves_its_effect_once() -> None:
    runtime = MemoryRuntime(faults=[PlannedFault(Fault.LOSES_REPLY, times=1)])
    with pytest.raises(ConnectionError, match="answer lost"):
        await deploy(runtime, NEW)
    # Were it stopped again, this would be told.
    runtime.faults.append(PlannedFault(Fault.DIES_HALFWAY))
    await deploy(runtime, NEW)
    assert runtime.effects == [Effect("one", OLD, NEW, 1)]


async def test_a_cell_left_halfway_does_not_serve_until_it_is_deployed_again() -> None:
    runtime = MemoryRuntime(faults=[PlannedFault(Fault.DIES_HALFWAY, times=1)])
    with pytest.raises(ConnectionError, match="process that died"):
        await deploy(runtime, NEW)
    assert not runtime.cells["one"].serves
    await deploy(runtime, NEW)
    assert runtime.cells["one"].serves


async def test_a_version_that_does_not_start_is_rejected_until_another_is_deployed() -> None:
    runtime = MemoryRuntime(
        faults=[PlannedFault(Fault.DOES_NOT_START, server_version=NEW.server_version)]
    )
    for _ in range(2):
        with pytest.raises(ApplicationError, match="does not start") as refused:
            await deploy(runtime, NEW)
        assert refused.value.type == ErrorType.REJECTED
        assert not runtime.cells["one"].serves
    await deploy(runtime, OLD, generation=2)
    assert runtime.cells["one"].serves


async def test_a_change_takes_as_long_as_it_is_said_to() -> None:
    runtime = MemoryRuntime(takes=timedelta(milliseconds=30))
    began = asyncio.get_running_loop().time()
    deployed = await runtime.deploy("one", SPEC, NEW, 1)
    assert asyncio.get_running_loop().time() - began >= 0.03
    assert deployed.gap == timedelta(milliseconds=30)


async def test_what_was_found_against_releases_is_said_of_its_cell_only() -> None:
    runtime = MemoryRuntime(found={"one": ["no room"]})
    release = Release("next", NEW.server_version)
    assert await runtime.obstacles("one", SPEC, release) == ["no room"]
    assert await runtime.obstacles("other", SPEC, release) == []
