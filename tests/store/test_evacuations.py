"""Evacuations and decisions about failovers, as they are claimed, published and read."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.store.audit import AuditLog
from controlplane.store.availability import AvailabilityProjections
from controlplane.store.evacuation_projections import EvacuationProjections, summary_of
from controlplane.store.evacuations import Evacuations
from controlplane.store.pool import Pool
from provisioning.evacuation.types import Outcome, Phase
from tests.store.replica_views import (
    OTHER_CELL,
    availability_event,
    availability_view,
    evacuation_event,
    evacuation_view,
    start_evacuation,
)
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


async def audited(pool: Pool, account: str) -> list[tuple[str, int, str]]:
    entries = [record.entry for record in await AuditLog(pool).read(account, limit=10)]
    return sorted((entry.source, entry.number, entry.what) for entry in entries)


@pytest.mark.usefixtures("operators")
async def test_a_published_evacuation_is_read_back_whole(pool: Pool) -> None:
    view = evacuation_view(events=(evacuation_event(1),))

    await EvacuationProjections(pool).publish_evacuation(view)

    assert await Evacuations(pool).get("e1") == view
    assert await Evacuations(pool).latest(CELL) == view
    assert await Evacuations(pool).get("e2") is None
    assert await Evacuations(pool).latest(OTHER_CELL) is None


@pytest.mark.usefixtures("operators")
async def test_the_newest_view_stays_in_whatever_order_views_arrive(pool: Pool) -> None:
    views = [evacuation_view(revision=revision, message=f"{revision}") for revision in (2, 5, 0, 3)]

    await asyncio.gather(*map(EvacuationProjections(pool).publish_evacuation, views))

    stored = await Evacuations(pool).get("e1")
    assert stored is not None
    assert (stored.revision, stored.message) == (5, "5")


async def test_events_of_each_evacuation_are_in_the_operators_audit_log_once(
    pool: Pool, operators: str
) -> None:
    projections = EvacuationProjections(pool)
    first = evacuation_view(revision=1, events=(evacuation_event(1), evacuation_event(2)))
    # A late view may hold what a newer one holds no more.
    await projections.publish_evacuation(
        evacuation_view(revision=2, events=(evacuation_event(3, "ended"),))
    )
    await projections.publish_evacuation(first)
    await projections.publish_evacuation(first)
    # Another of the same cell counts anew.
    await projections.publish_evacuation(evacuation_view("e2", events=(evacuation_event(1),)))

    assert await audited(pool, operators) == [
        (f"evacuation/{CELL}/e1", 1, "evacuation moved"),
        (f"evacuation/{CELL}/e1", 2, "evacuation moved"),
        (f"evacuation/{CELL}/e1", 3, "evacuation ended"),
        (f"evacuation/{CELL}/e2", 1, "evacuation moved"),
    ]


async def test_without_operators_nothing_is_published_half(pool: Pool) -> None:
    with pytest.raises(LookupError, match="no account is the operators'"):
        await EvacuationProjections(pool).publish_evacuation(evacuation_view())
    with pytest.raises(LookupError, match="no account is the operators'"):
        await AvailabilityProjections(pool).publish_availability(availability_view())

    assert await Evacuations(pool).get("e1") is None
    assert await AvailabilityProjections(pool).read() is None


async def test_a_request_is_claimed_once_and_is_what_was_asked_first(
    pool: Pool, operators: str
) -> None:
    evacuations, asked = Evacuations(pool), start_evacuation()

    first = await evacuations.claim(asked, "this", operators)
    again = await evacuations.claim(replace(asked, actor="otto"), "this", operators)
    with pytest.raises(ApplicationError) as refusal:
        await evacuations.claim(asked, "that", operators)

    assert (first.start, first.view) == (again.start, again.view) == (asked, None)
    assert "already stands for another request" in refusal.value.message
    assert await evacuations.page(limit=10) == []
    await EvacuationProjections(pool).publish_evacuation(evacuation_view())
    assert (await evacuations.claim(asked, "this", operators)).view == evacuation_view()
    await evacuations.withdraw("e1")
    assert await evacuations.get("e1") is not None


async def test_the_id_of_a_refused_request_is_free_again(pool: Pool, operators: str) -> None:
    evacuations = Evacuations(pool)
    await evacuations.claim(start_evacuation(), "this", operators)

    await evacuations.withdraw("e1")

    other = start_evacuation(cell=OTHER_CELL)
    assert (await evacuations.claim(other, "that", operators)).start == other


@pytest.mark.usefixtures("operators")
async def test_evacuations_are_listed_newest_first_page_by_page_and_cell_by_cell(
    pool: Pool,
) -> None:
    evacuations, done = (
        Evacuations(pool),
        evacuation_view("e1", phase=Phase.ENDED, outcome=Outcome.SUCCEEDED),
    )
    for view in (done, evacuation_view("e2", cell=OTHER_CELL), evacuation_view("e3")):
        await EvacuationProjections(pool).publish_evacuation(view)

    page = await evacuations.page(limit=2)
    rest = await evacuations.page(before=page[-1].number, limit=2)

    assert [listed.summary.id for listed in page] == ["e3", "e2"]
    assert [listed.summary for listed in rest] == [summary_of(done)]
    of_cell = await evacuations.page(cell=CELL, limit=10)
    assert [listed.summary.id for listed in of_cell] == ["e3", "e1"]
    latest = await evacuations.latest(CELL)
    assert latest is not None
    assert latest.id == "e3"


async def test_what_is_decided_about_failovers_is_read_back_and_audited_once(
    pool: Pool, operators: str
) -> None:
    projections = AvailabilityProjections(pool)
    newer = availability_view(7, (availability_event(2),))

    await projections.publish_availability(newer)
    await projections.publish_availability(availability_view(3, (availability_event(1),)))
    await projections.publish_availability(newer)

    assert await projections.read() == newer
    assert await audited(pool, operators) == [
        ("availability", 1, "availability cell lost"),
        ("availability", 2, "availability cell lost"),
    ]
