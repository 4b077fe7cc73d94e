"""A graceful failover loses nothing, or changes nothing, whatever dies meanwhile."""

import asyncio
import sys
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from provisioning.replicas.types import ReplicationState
from tests.eventually import eventually
from tests.provisioning.replicas.load import under_load
from tests.provisioning.replicas.tenancy import LAG, PATIENCE, Tenancy

pytestmark = pytest.mark.timeout(300)

SOON = timedelta(seconds=4)


async def test_under_load_every_workflow_completes_once_there_and_back(tenancy: Tenancy) -> None:
    await tenancy.replicate()

    async with under_load(tenancy) as load:
        await tenancy.hand_over(tenancy.here, tenancy.there)
        await load.grown(30)
        await tenancy.hand_over(tenancy.there, tenancy.here)

    for replica in (tenancy.here, tenancy.there):
        facts = await tenancy.facts(replica)
        assert (facts.active, facts.state) == (tenancy.here.cell, ReplicationState.NORMAL)
    assert not (await tenancy.replication.compare(tenancy.here, tenancy.there.cell)).missing


async def test_handing_over_twice_is_handing_over_once(tenancy: Tenancy) -> None:
    await tenancy.replicate()

    await asyncio.gather(*(tenancy.hand_over(tenancy.here, tenancy.there) for _ in range(2)))
    after = await tenancy.facts(tenancy.there)
    await tenancy.hand_over(tenancy.here, tenancy.there)

    assert after == await tenancy.facts(tenancy.there)
    assert after.active == tenancy.there.cell
    assert after.failover_version == (await tenancy.facts(tenancy.here)).failover_version


async def test_without_its_target_everything_stays_as_it_was(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    before = await tenancy.facts(tenancy.here)
    server = tenancy.target.cell.temporal
    await tenancy.pair.stop(server)
    try:
        with pytest.raises(ApplicationError, match="everything is as before") as failed:
            await tenancy.hand_over(tenancy.here, tenancy.there, within=SOON)

        assert failed.value.type == ErrorType.FAILED_PRECONDITION
        assert await tenancy.facts(tenancy.here) == before
        await tenancy.start_at(tenancy.source, "meanwhile")
    finally:
        await tenancy.pair.start(server)
    await tenancy.arrived(tenancy.target, "meanwhile")


async def test_a_handover_that_is_cancelled_is_taken_back(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    before = await tenancy.facts(tenancy.here)
    await tenancy.pair.cut(tenancy.source)
    try:
        handover = tenancy.begin_handover()
        await tenancy.in_handover()
        handover.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handover

        assert await tenancy.facts(tenancy.here) == before
        await tenancy.start_at(tenancy.source, "afterwards")
    finally:
        await tenancy.pair.mend(tenancy.source)


async def test_one_whose_caller_died_is_taken_back_by_who_settles(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    before = await tenancy.facts(tenancy.here)
    await tenancy.pair.cut(tenancy.source)
    try:
        caller = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.provisioning.replicas.handing_over",
            str(tenancy.pair.home.path),
            tenancy.here.namespace,
            tenancy.here.uid,
        )
        await tenancy.in_handover()
        caller.kill()
        await caller.wait()

        for _ in range(2):
            await tenancy.replication.settle(tenancy.here)

        assert await tenancy.facts(tenancy.here) == before
        await tenancy.start_at(tenancy.source, "afterwards")
    finally:
        await tenancy.pair.mend(tenancy.source)
    await tenancy.hand_over(tenancy.here, tenancy.there)


async def test_one_whose_source_is_killed_ends_as_it_was_or_done(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    before = await tenancy.facts(tenancy.here)
    await tenancy.pair.cut(tenancy.source)
    try:
        handover = tenancy.begin_handover()
        await tenancy.in_handover()
        await tenancy.pair.kill(tenancy.source.cell.temporal)

        with pytest.raises((ApplicationError, ConnectionError)):
            await handover

        async def settled() -> bool:
            try:
                await tenancy.replication.settle(tenancy.here)
            except ConnectionError:
                return False
            return True

        await eventually(settled)
        assert await tenancy.facts(tenancy.here) == before
    finally:
        await tenancy.pair.mend(tenancy.source)
    await tenancy.hand_over(tenancy.here, tenancy.there)


async def test_it_says_where_the_active_one_is_when_that_is_elsewhere(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    with pytest.raises(ApplicationError, match=f"not active there but in {tenancy.here.cell}"):
        await tenancy.replication.hand_over(tenancy.there, "nowhere", PATIENCE, LAG)
