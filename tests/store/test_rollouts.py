"""Rollouts as they are claimed, published and read."""

import asyncio
from dataclasses import replace

import psycopg
import pytest
from temporalio.exceptions import ApplicationError

from controlplane.store.audit import AuditLog
from controlplane.store.pool import Pool
from controlplane.store.rollout_projections import RolloutProjections
from controlplane.store.rollouts import Rollouts
from rollout.types import CellStatus, Phase
from tests.store.rollout_views import event, rollout_view, start_rollout
from tests.store.views import CELL

ACCOUNT = "acme1"


@pytest.fixture
async def operators(pool: Pool) -> str:
    """The account of the operators, which is not the first there is."""
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO accounts (id, name, operator) "
            "VALUES ('other1', 'Other', false), (%s, 'Acme', true)",
            (ACCOUNT,),
        )
    return ACCOUNT


@pytest.mark.usefixtures("operators")
async def test_a_published_rollout_is_read_back_whole(pool: Pool) -> None:
    view = rollout_view(events=(event(1),))

    await RolloutProjections(pool).publish_rollout(view)

    assert await Rollouts(pool).get("r1") == view
    assert await Rollouts(pool).get("r2") is None


@pytest.mark.usefixtures("operators")
async def test_the_newest_view_stays_in_whatever_order_views_arrive(pool: Pool) -> None:
    views = [rollout_view(revision=revision, message=f"{revision}") for revision in (2, 5, 0, 3)]

    await asyncio.gather(*map(RolloutProjections(pool).publish_rollout, views))

    stored = await Rollouts(pool).get("r1")
    assert stored is not None
    assert (stored.revision, stored.message) == (5, "5")


async def test_events_are_in_the_audit_log_of_the_operators_each_once(
    pool: Pool, operators: str
) -> None:
    projections = RolloutProjections(pool)
    first = rollout_view(revision=1, events=(event(1), event(2, cell="")))
    # A late view may hold what a newer one holds no more.
    await projections.publish_rollout(rollout_view(revision=2, events=(event(3),)))
    await projections.publish_rollout(first)
    await projections.publish_rollout(first)

    log = AuditLog(pool)
    entries = [record.entry for record in await log.read(operators, limit=10)]
    assert sorted(entry.number for entry in entries) == [1, 2, 3]
    assert {(entry.source, entry.what) for entry in entries} == {
        ("rollout/r1", "rollout cell done")
    }
    assert (await log.verify(operators)).reason == ""
    assert await Rollouts(pool).events("r1", limit=10) == [event(1), event(2, cell=""), event(3)]


@pytest.mark.usefixtures("operators")
async def test_events_are_read_page_by_page_and_cell_by_cell(pool: Pool) -> None:
    made = (event(1), event(2, cell="elsewhere"), event(3))
    await RolloutProjections(pool).publish_rollout(rollout_view(events=made))
    rollouts = Rollouts(pool)

    assert await rollouts.events("r1", after=1, limit=1) == [made[1]]
    assert await rollouts.events("r1", cell=CELL, limit=10) == [made[0], made[2]]
    assert await rollouts.events("r2", limit=10) == []


async def test_a_rollout_of_nobodys_fleet_cannot_be_recorded(pool: Pool) -> None:
    with pytest.raises(LookupError, match="no account is the operators'"):
        await RolloutProjections(pool).publish_rollout(rollout_view())


async def test_a_request_is_claimed_once_and_seen_when_it_is_taken_up(
    pool: Pool, operators: str
) -> None:
    rollouts, start = Rollouts(pool), start_rollout()

    first = await rollouts.claim(start, "asked", operators)
    again = await rollouts.claim(replace(start, actor="otto"), "asked", operators)

    assert (first.start, first.view, first.is_new) == (start, None, True)
    assert (again.start, again.view, again.is_new) == (start, None, False)
    assert await rollouts.get("r1") is None
    assert await rollouts.page(limit=10) == []
    await RolloutProjections(pool).publish_rollout(rollout_view(revision=0))
    assert (await rollouts.claim(start, "asked", operators)).view == rollout_view(revision=0)
    assert await rollouts.request("r1") == start


async def test_an_id_stands_for_one_request(pool: Pool, operators: str) -> None:
    await Rollouts(pool).claim(start_rollout(), "asked", operators)

    with pytest.raises(ApplicationError, match="'r1' already stands for another request"):
        await Rollouts(pool).claim(start_rollout(), "asked otherwise", operators)


async def test_a_refused_request_leaves_its_id_free_and_a_rollout_does_not(
    pool: Pool, operators: str
) -> None:
    rollouts = Rollouts(pool)
    await rollouts.claim(start_rollout(), "asked", operators)

    await rollouts.withdraw("r1")

    assert (await rollouts.claim(start_rollout(), "asked otherwise", operators)).is_new
    await RolloutProjections(pool).publish_rollout(rollout_view())
    await rollouts.withdraw("r1")
    assert await rollouts.get("r1") is not None


async def test_a_claimed_rollouts_events_go_where_it_was_asked_for(
    pool: Pool, operators: str
) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO accounts (id, name, operator) VALUES ('later1', 'Later', true)"
        )
    await Rollouts(pool).claim(start_rollout(), "asked", "later1")

    await RolloutProjections(pool).publish_rollout(rollout_view(events=(event(1),)))
    async with pool.connection() as connection:
        await connection.execute("UPDATE accounts SET operator = false")
    await RolloutProjections(pool).publish_rollout(rollout_view(revision=2, events=(event(2),)))

    assert len(await AuditLog(pool).read("later1", limit=10)) == 2
    stored = await Rollouts(pool).get("r1")
    assert stored is not None
    assert stored.revision == 2
    assert await AuditLog(pool).read(operators, limit=10) == []


async def test_lists_show_the_newest_first_with_their_cells_counted(
    pool: Pool, operators: str
) -> None:
    rollouts, projections = Rollouts(pool), RolloutProjections(pool)
    await rollouts.claim(start_rollout("r1"), "asked", operators)
    await projections.publish_rollout(rollout_view("r2", phase=Phase.ENDED))
    await projections.publish_rollout(rollout_view("r1"))

    first = await rollouts.page(limit=1)
    rest = await rollouts.page(before=first[0].number, limit=10)

    assert [listed.summary.id for listed in (*first, *rest)] == ["r2", "r1"]
    shown = rest[0].summary
    assert shown.cells == {CellStatus.DONE: 1, CellStatus.WAITING: 1}
    assert (shown.started_at, shown.ended_at) == (rollout_view().started_at, None)
    assert await rollouts.ended(["r1", "r2", "r3"]) == {"r2"}
    assert await rollouts.unfinished() == {"r1": start_rollout("r1")}


async def test_a_claim_is_for_an_account_that_there_is(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await Rollouts(pool).claim(start_rollout(), "asked", "nobody")


@pytest.mark.usefixtures("operators")
async def test_the_latest_rollout_of_a_release_is_the_one_that_was_asked_for_last(
    pool: Pool,
) -> None:
    rollouts, projections = Rollouts(pool), RolloutProjections(pool)
    first = rollout_view("of-a-release", revision=1)
    await projections.publish_rollout(first)
    await projections.publish_rollout(replace(first, id="of-a-release-2"))

    latest = await rollouts.latest_of(first.release)

    assert latest is not None
    assert latest.id == "of-a-release-2"
    assert await rollouts.latest_of("nothing") is None
