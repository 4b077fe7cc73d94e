"""The calendar: changed by whoever saw its last revision, and never forgotten."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from temporalio.exceptions import ApplicationError

from controlplane.store.calendars import Calendars
from controlplane.store.pool import Pool
from rollout.calendar import Calendar, Freeze
from tests.store.views import NOW

FREEZE = Freeze("christmas", "nobody is here", NOW, NOW + timedelta(days=3))


def frozen(present: Calendar) -> Calendar:
    return replace(present, freezes=(*present.freezes, FREEZE))


async def test_nobody_said_anything_at_first(pool: Pool) -> None:
    kept = await Calendars(pool).read()

    assert (kept.revision, kept.calendar) == (0, Calendar())


async def test_a_change_is_read_back_with_who_made_it_and_why(pool: Pool) -> None:
    before, after = await Calendars(pool).change(
        frozen, by="olga", reason="it is December", expected=0
    )

    assert before.revision == 0
    assert (after.revision, after.changed_by, after.reason) == (1, "olga", "it is December")
    assert after.calendar == Calendar(freezes=(FREEZE,))
    assert await Calendars(pool).read() == after


async def test_of_two_who_saw_the_same_calendar_one_changes_it(pool: Pool) -> None:
    calendars = Calendars(pool)

    outcomes = await asyncio.gather(
        *(calendars.change(frozen, by=by, reason="x", expected=0) for by in ("olga", "otto")),
        return_exceptions=True,
    )

    refused = [each for each in outcomes if isinstance(each, ApplicationError)]
    assert [each.message for each in refused] == [
        "the calendar is at revision 1, not at 0: read it again, and change that"
    ]
    assert (await calendars.read()).revision == 1


async def test_changes_at_once_are_all_made_one_after_another(pool: Pool) -> None:
    names = [f"freeze {number}" for number in range(8)]

    def one_more(name: str) -> Callable[[Calendar], Calendar]:
        freeze = replace(FREEZE, name=name)
        return lambda present: replace(present, freezes=(*present.freezes, freeze))

    await asyncio.gather(
        *(Calendars(pool).change(one_more(name), by="olga", reason="x") for name in names)
    )

    kept = await Calendars(pool).read()
    assert kept.revision == len(names)
    assert sorted(freeze.name for freeze in kept.calendar.freezes) == names


async def test_what_changes_nothing_makes_no_revision(pool: Pool) -> None:
    _, after = await Calendars(pool).change(lambda present: present, by="olga", reason="x")

    assert after.revision == 0


async def test_what_the_calendar_said_is_kept(pool: Pool) -> None:
    calendars = Calendars(pool)
    await calendars.change(frozen, by="olga", reason="it is December")
    await calendars.change(lambda _: Calendar(), by="otto", reason="it is January")

    async with pool.connection() as connection:
        rows = await connection.execute("SELECT changed_by FROM calendars ORDER BY revision")
        assert await rows.fetchall() == [("olga",), ("otto",)]
        with pytest.raises(psycopg.Error, match="takes new rows only"):
            await connection.execute("DELETE FROM calendars WHERE revision = 1")
