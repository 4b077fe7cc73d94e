import asyncio
import hashlib
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from controlplane.store.audit import AuditLog, Verification
from controlplane.store.audit_entries import FIRST_PREVIOUS, Actor, AuditEntry
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from provisioning.types import Decision, DecisionKind
from tests.store.views import NOW, namespace_view

OLGA = Actor("user", "user-1", "olga@example.com", "key-1")


def entry(source: str = "call/1", account: str = "acme1") -> AuditEntry:
    return AuditEntry(
        account, source, 1, "CreateNamespace", "OK", OLGA, "op-1", details={"request": {"ü": [1.5]}}
    )


async def test_a_record_is_read_back_whole_and_in_order(pool: Pool) -> None:
    log = AuditLog(pool)
    entries = [entry("call/1"), entry("call/2"), entry("call/3")]

    for each in entries:
        await log.append(each)

    records = await log.read("acme1", limit=10)
    assert [record.entry for record in records] == entries
    assert [record.sequence for record in records] == [1, 2, 3]
    assert [record.log_id for record in records] == sorted(record.log_id for record in records)
    assert all(a.emitted_at < b.emitted_at for a, b in itertools.pairwise(records))
    assert records[0].previous == FIRST_PREVIOUS


async def test_an_entry_recorded_again_is_there_once_however_many_record_it(pool: Pool) -> None:
    log = AuditLog(pool)

    await asyncio.gather(*(log.append(entry()) for _ in range(10)))

    assert len(await log.read("acme1", limit=10)) == 1


async def test_chains_grown_at_once_by_many_hold(pool: Pool) -> None:
    log = AuditLog(pool)

    await asyncio.gather(
        *(
            log.append(entry(f"call/{number}", account))
            for number in range(20)
            for account in ("acme1", "other")
        )
    )

    for account in ("acme1", "other"):
        checked = await log.verify(account)
        assert (checked.records, checked.broken_at) == (20, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET entry = ''",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE false",
        "TRUNCATE audit_log",
    ],
)
async def test_the_table_takes_new_rows_only(pool: Pool, statement: str) -> None:
    await AuditLog(pool).append(entry())

    async with pool.connection() as connection:
        with pytest.raises(psycopg.Error, match="append-only"):
            await connection.execute(statement.encode())

    assert len(await AuditLog(pool).read("acme1", limit=10)) == 1


TAMPERING: dict[str, tuple[str, int, str]] = {
    "an entry changed": (
        "UPDATE audit_log SET entry = replace(entry, 'olga', 'eve') WHERE sequence = 3",
        3,
        "its hash is not that of its text",
    ),
    "an entry changed with its hash": (
        "UPDATE audit_log SET entry = replace(entry, 'olga', 'eve'), "
        "hash = sha256(convert_to(replace(entry, 'olga', 'eve'), 'UTF8')) WHERE sequence = 3",
        4,
        "it does not follow the record before it",
    ),
    "a hash": (
        "UPDATE audit_log SET hash = sha256('x') WHERE sequence = 1",
        1,
        "its hash is not that of its text",
    ),
    "a time": (
        "UPDATE audit_log SET emitted_at = emitted_at - interval '1 day' WHERE sequence = 4",
        4,
        "what it is searched by is not what it says",
    ),
    "a source": (
        "UPDATE audit_log SET source = 'call/9' WHERE sequence = 2",
        2,
        "what it is searched by is not what it says",
    ),
    "a record gone": ("DELETE FROM audit_log WHERE sequence = 2", 2, "record 2 is missing"),
    "the first gone": ("DELETE FROM audit_log WHERE sequence = 1", 1, "record 1 is missing"),
    "turned round": (
        "UPDATE audit_log SET sequence = sequence + 10; "
        "UPDATE audit_log SET sequence = 16 - sequence",
        1,
        "it does not follow the record before it",
    ),
}


@pytest.mark.parametrize(
    ("tampering", "broken_at", "reason"), TAMPERING.values(), ids=TAMPERING.keys()
)
async def test_whoever_gets_past_the_table_is_found_out(
    pool: Pool, tampering: str, broken_at: int, reason: str
) -> None:
    log = AuditLog(pool)
    for number in range(5):
        await log.append(entry(f"call/{number}"))
    whole = await log.verify("acme1")
    assert (whole.records, whole.broken_at) == (5, None)

    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE audit_log DISABLE TRIGGER append_only")
        for statement in tampering.split("; "):
            await connection.execute(statement.encode())

    checked = await log.verify("acme1")
    assert (checked.broken_at, checked.reason) == (broken_at, reason)
    assert checked.records == broken_at - 1


async def test_the_records_of_one_account_are_no_records_of_another(pool: Pool) -> None:
    await AuditLog(pool).append(entry())
    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE audit_log DISABLE TRIGGER append_only")
        await connection.execute("UPDATE audit_log SET account_id = 'other'")

    assert await AuditLog(pool).verify("acme1") == Verification(0, FIRST_PREVIOUS)
    assert (await AuditLog(pool).verify("other")).broken_at == 1


async def test_a_log_cut_off_at_its_end_shows_by_the_hash_kept_of_it(pool: Pool) -> None:
    log = AuditLog(pool)
    for number in range(3):
        await log.append(entry(f"call/{number}"))
    kept = await log.verify("acme1")

    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE audit_log DISABLE TRIGGER append_only")
        await connection.execute("DELETE FROM audit_log WHERE sequence = 3")

    checked = await log.verify("acme1")
    assert checked.broken_at is None
    assert checked.last_hash != kept.last_hash


async def test_an_export_can_be_checked_without_us(pool: Pool) -> None:
    log = AuditLog(pool)
    for number in range(3):
        await log.append(entry(f"call/{number}"))

    previous = FIRST_PREVIOUS
    async for line in log.export("acme1"):
        record = json.loads(line)
        told = record.pop("hash")
        text = json.dumps(record, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == told
        assert record["previous"] == previous
        previous = told
    assert previous == (await log.verify("acme1")).last_hash


async def test_a_period_begins_with_its_start_and_ends_before_its_end(pool: Pool) -> None:
    log = AuditLog(pool)
    for number in range(3):
        await log.append(entry(f"call/{number}"))
    first, second, third = await log.read("acme1", limit=10)

    found = await log.read("acme1", since=second.emitted_at, until=third.emitted_at, limit=10)

    assert found == [second]
    assert await log.read("acme1", after=first.sequence, limit=1) == [second]
    assert await log.read("acme1", since=datetime.now(UTC) + timedelta(days=1), limit=10) == []


async def test_the_order_is_that_of_time_even_when_the_clock_was_set_back(pool: Pool) -> None:
    log = AuditLog(pool)
    await log.append(entry("call/1"))
    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE audit_log DISABLE TRIGGER append_only")
        await connection.execute("UPDATE audit_log SET emitted_at = emitted_at + interval '1 day'")

    await log.append(entry("call/2"))

    first_at, second_at = await _emitted_at(pool)
    assert second_at == first_at + timedelta(microseconds=1)


async def _emitted_at(pool: Pool) -> tuple[datetime, datetime]:
    async with pool.connection() as connection:
        rows = await connection.execute("SELECT emitted_at FROM audit_log ORDER BY sequence")
        (first,), (second,) = await rows.fetchall()
    return first, second


def decision(number: int) -> Decision:
    return Decision(number, NOW, DecisionKind.PLACED, f"cell {number}", "op-1", after="c1")


async def test_what_an_entity_decided_is_recorded_once_in_whatever_order_views_arrive(
    pool: Pool,
) -> None:
    projections, log = Projections(pool), AuditLog(pool)
    views = [
        replace(
            namespace_view(revision=revision),
            decisions=tuple(
                decision(number) for number in range(max(1, revision - 2), revision + 1)
            ),
        )
        for revision in (3, 1, 5, 2, 4, 5)
    ]

    await asyncio.gather(*map(projections.publish_namespace, views))

    records = await log.read("acme1", limit=20)
    assert sorted(record.entry.number for record in records) == [1, 2, 3, 4, 5]
    assert {record.entry.source for record in records} == {views[0].uid}
    assert (await log.verify("acme1")).broken_at is None
    first = records[0].entry
    assert (first.what, first.operation, first.actor.type) == ("CellSelected", "op-1", "system")
    assert first.actor.id == f"namespace/{views[0].id}"
    assert first.details["namespace"] == views[0].id


async def test_a_namespace_made_again_decides_anew(pool: Pool) -> None:
    projections, log = Projections(pool), AuditLog(pool)
    for uid, revision in (("uid-1", 1), ("uid-2", 2)):
        await projections.publish_namespace(
            replace(namespace_view(uid=uid, revision=revision), decisions=(decision(1),))
        )

    assert [r.entry.source for r in await log.read("acme1", limit=10)] == ["uid-1", "uid-2"]


async def test_a_view_is_not_readable_before_its_decisions_are_recorded(pool: Pool) -> None:
    view = replace(namespace_view(), decisions=(decision(1),))
    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE audit_log ADD CONSTRAINT closed CHECK (false)")

    with pytest.raises(psycopg.errors.CheckViolation):
        await Projections(pool).publish_namespace(view)

    async with pool.connection() as connection:
        rows = await connection.execute("SELECT id FROM namespaces")
        assert await rows.fetchall() == []
