"""A replica is added with all there was, and removed without a trace."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from secrets import token_hex

import pytest
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
)
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from provisioning.replicas.types import CopyProgress
from provisioning.temporal import TemporalRegistrar
from tests.provisioning.replicas.tenancy import NOBODY, PATIENCE, WEEK, Tenancy

pytestmark = pytest.mark.timeout(300)

OPEN = 20


async def test_a_new_replica_gets_whatever_there_was_and_can_take_over(tenancy: Tenancy) -> None:
    await tenancy.register()
    await tenancy.start_at(tenancy.source, *(f"open-{n}" for n in range(OPEN)))
    await tenancy.close_in_every_way()
    client = await tenancy.client(tenancy.source)
    await client.create_schedule(
        "nightly",
        Schedule(
            action=ScheduleActionStartWorkflow("Waits", id="scheduled", task_queue=NOBODY),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=1))]),
        ),
    )
    replication, here, there = tenancy.replication, tenancy.here, tenancy.there
    told: list[CopyProgress] = []

    await asyncio.gather(*(replication.extend(here, there.cell) for _ in range(2)))
    await tenancy.start_at(tenancy.source, "after")
    await tenancy.arrived(tenancy.target, "after")
    copies = await asyncio.gather(
        replication.copy(here, there.cell, told.append),
        replication.copy(here, there.cell, lambda _: None),
    )
    compared = await replication.compare(here, there.cell)

    assert compared.is_complete, compared
    assert compared.source == compared.target
    assert compared.source == {
        "RUNNING": OPEN + 3,  # With `first`, `after` and what the schedule is.
        "COMPLETED": 2,  # One of them went on from the one that continued as new.
        "FAILED": 1,
        "CANCELED": 1,
        "TERMINATED": 1,
        "TIMED_OUT": 1,
        "CONTINUED_AS_NEW": 1,
    }
    assert told[-1] == copies[0] == copies[1]
    assert told[-1].done == told[-1].of == sum(compared.source.values())
    for replica in (here, there):
        facts = await tenancy.facts(replica)
        assert (facts.active, set(facts.cells)) == (here.cell, {here.cell, there.cell})

    await tenancy.hand_over(here, there)
    schedule = (await tenancy.client(tenancy.target)).get_schedule_handle("nightly")
    assert (await schedule.describe()).id == "nightly"


async def test_one_that_was_removed_is_gone_and_can_be_added_again(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    await tenancy.start_at(tenancy.source, "kept")
    await tenancy.arrived(tenancy.target, "kept")
    replication, here, there = tenancy.replication, tenancy.here, tenancy.there

    for _ in range(2):
        await replication.withdraw(here, there.cell)

    assert await replication.observe(there) is None
    assert (await tenancy.facts(here)).cells == (here.cell,)
    assert await tenancy.statuses(tenancy.source) == {"kept": ["RUNNING"]}
    await replication.extend(here, there.cell)
    await tenancy.copy()
    assert (await replication.compare(here, there.cell)).target == {"RUNNING": 1}


async def test_what_a_removal_left_behind_is_no_basis_for_a_new_replica(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    # A removal that died after its first half.
    await tenancy.set_cells("active")
    await tenancy.start_at(tenancy.source, "missed")

    await tenancy.replication.extend(tenancy.here, tenancy.there.cell)

    assert not await tenancy.statuses(tenancy.target)
    await tenancy.copy()
    assert (await tenancy.replication.compare(tenancy.here, tenancy.there.cell)).is_complete


async def test_a_replica_in_a_cell_that_does_not_answer_is_removed_when_it_does(
    tenancy: Tenancy,
) -> None:
    await tenancy.replicate()
    await tenancy.pair.stop(tenancy.target.cell.temporal)
    try:
        with pytest.raises(ConnectionError, match=tenancy.there.cell):
            await tenancy.replication.withdraw(tenancy.here, tenancy.there.cell)
        assert (await tenancy.facts(tenancy.here)).cells == (tenancy.here.cell,)
    finally:
        await tenancy.pair.start(tenancy.target.cell.temporal)

    await tenancy.replication.withdraw(tenancy.here, tenancy.there.cell)

    assert await tenancy.replication.observe(tenancy.there) is None


async def test_a_name_that_another_namespace_has_there_is_refused_until_it_is_free(
    tenancy: Tenancy,
) -> None:
    await tenancy.register()
    other = replace(tenancy.there, uid=token_hex(8))
    registrar = TemporalRegistrar(tenancy.pair.directory)
    await registrar.register(other, WEEK, {})

    with pytest.raises(ApplicationError, match=f"{other.uid}, not {tenancy.here.uid}") as refused:
        await tenancy.replication.extend(tenancy.here, tenancy.there.cell)

    assert refused.value.type == ErrorType.REJECTED
    assert (await tenancy.facts(tenancy.here)).cells == (tenancy.here.cell,)
    await registrar.deregister(other)
    await tenancy.replication.extend(tenancy.here, tenancy.there.cell)


async def test_cells_that_are_not_joined_are_told_to_be(tenancy: Tenancy) -> None:
    await tenancy.register()
    stranger = "aws-us-east-1-c1"
    with pytest.raises(ApplicationError, match=f"{stranger}"):
        await tenancy.replication.extend(tenancy.here, stranger)


async def test_another_incarnation_has_no_replicas_here(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    before = await tenancy.facts(tenancy.there)
    successor = replace(tenancy.here, uid=token_hex(8))

    assert await tenancy.replication.observe(successor) is None
    for late in (
        tenancy.replication.force(replace(successor, cell=tenancy.there.cell)),
        tenancy.replication.withdraw(successor, tenancy.there.cell),
        tenancy.replication.hand_over(successor, tenancy.there.cell, PATIENCE, PATIENCE),
    ):
        with pytest.raises(ApplicationError, match="belongs to somebody else"):
            await late

    assert await tenancy.facts(tenancy.there) == before
