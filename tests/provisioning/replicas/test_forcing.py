"""A forced failover needs the survivor alone; what the other side has comes back with it."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from provisioning.replicas.types import ReplicationState
from tests.eventually import eventually
from tests.pair import PairedCell
from tests.provisioning.replicas.tenancy import PATIENCE, Tenancy

pytestmark = pytest.mark.timeout(300)


async def test_the_survivor_takes_over_and_the_killed_one_comes_back_as_standby(
    tenancy: Tenancy,
) -> None:
    await tenancy.replicate()
    await tenancy.start_at(tenancy.source, "before")
    await tenancy.arrived(tenancy.target, "before")
    server = tenancy.source.cell.temporal
    await tenancy.pair.kill(server)
    await tenancy.pair.stop(server)
    try:
        for _ in range(2):
            await tenancy.replication.force(tenancy.there)
        await tenancy.replication.await_active(tenancy.there, tenancy.there.cell, PATIENCE)
        there = await tenancy.client(tenancy.target)
        await there.get_workflow_handle("before").signal("go on")
        await tenancy.start_at(tenancy.target, "without the other")
    finally:
        await tenancy.pair.start(server)

    await tenancy.replication.await_active(tenancy.here, tenancy.there.cell, PATIENCE)
    await tenancy.arrived(tenancy.source, "before", "without the other")
    here, there_facts = [await tenancy.facts(at) for at in (tenancy.here, tenancy.there)]
    assert here.active == there_facts.active == tenancy.there.cell
    assert here.failover_version == there_facts.failover_version
    assert here.state is there_facts.state is ReplicationState.NORMAL


async def test_one_that_dies_in_mid_handover_is_no_more_in_it_when_it_is_active_again(
    tenancy: Tenancy,
) -> None:
    await tenancy.replicate()
    server = tenancy.source.cell.temporal
    await tenancy.pair.cut(tenancy.source)
    handover = tenancy.begin_handover(timedelta(seconds=8))
    await tenancy.in_handover()
    await tenancy.pair.stop(server)
    await tenancy.replication.force(tenancy.there)
    with pytest.raises((ApplicationError, ConnectionError)):
        await handover
    await tenancy.pair.start(server)
    await tenancy.pair.mend(tenancy.source)

    await tenancy.replication.await_active(tenancy.here, tenancy.there.cell, PATIENCE)
    await tenancy.replication.settle(tenancy.here)
    await tenancy.hand_over(tenancy.there, tenancy.here)

    assert (await tenancy.facts(tenancy.here)).state is ReplicationState.NORMAL
    await tenancy.start_at(tenancy.source, "afterwards")


async def test_after_a_partition_the_higher_failover_version_holds_and_signals_are_kept(
    tenancy: Tenancy,
) -> None:
    await tenancy.replicate()
    await tenancy.start_at(tenancy.source, "shared")
    await tenancy.arrived(tenancy.target, "shared")
    await tenancy.pair.cut(*tenancy.pair.cells)
    await tenancy.replication.force(tenancy.there)
    await tenancy.replication.await_active(tenancy.there, tenancy.there.cell, PATIENCE)
    for cell in tenancy.pair.cells:
        # Each takes itself for the active one, and is believed.
        await tenancy.start_at(cell, "both")
        client = await tenancy.client(cell)
        await client.get_workflow_handle("shared").signal(f"from {cell.id}")
    await tenancy.pair.mend(*tenancy.pair.cells)

    await tenancy.replication.await_active(tenancy.here, tenancy.there.cell, PATIENCE)

    for cell in tenancy.pair.cells:

        async def agrees(cell: PairedCell = cell) -> bool:
            runs = (await tenancy.statuses(cell))["both"]
            return sorted(runs) == ["RUNNING", "TERMINATED"] and await tenancy.signals(
                cell, "shared"
            ) == {f"from {other.id}" for other in tenancy.pair.cells}

        await eventually(agrees, every=0.3)
    assert not (await tenancy.replication.compare(tenancy.there, tenancy.here.cell)).missing
