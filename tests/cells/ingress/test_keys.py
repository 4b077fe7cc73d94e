"""How the keys of an account get into a cell's database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import AsyncConnection

from cells.ingress.keys import KeyRow, SigningKeyRow, write_keys, write_signing_keys
from tests.cells.ingress.small_cell import SCHEMA
from tests.postgres import RunningPostgres

LATER = datetime(2030, 1, 1, tzinfo=UTC)
ONE = KeyRow("one", LATER, everywhere=False, namespaces={"orders.acme1": "read"})
TWO = KeyRow("two", LATER, everywhere=True)


@pytest.fixture
async def database(postgres: RunningPostgres) -> AsyncIterator[AsyncConnection]:
    """A cell's database, as the control plane connects to it."""
    made = await postgres.create_database("cell", "CREATEROLE")
    async with await AsyncConnection.connect(made.conninfo, autocommit=True) as connection:
        for _ in range(2):
            await connection.execute(SCHEMA)
        yield connection


async def keys(database: AsyncConnection, account: str = "acme1") -> list[tuple[object, ...]]:
    cursor = await database.execute(
        "SELECT key_id, everywhere, namespaces FROM api_keys WHERE account_id = %s ORDER BY 1",
        (account,),
    )
    return await cursor.fetchall()


async def test_a_later_revision_replaces_an_accounts_keys(database: AsyncConnection) -> None:
    await write_keys(database, "acme1", 1, [ONE, TWO])
    assert await keys(database) == [
        ("one", False, {"orders.acme1": "read"}),
        ("two", True, {}),
    ]

    await write_keys(database, "acme1", 2, [TWO])
    assert await keys(database) == [("two", True, {})]


async def test_an_earlier_revision_that_comes_late_changes_nothing(
    database: AsyncConnection,
) -> None:
    await write_keys(database, "acme1", 2, [TWO])

    await write_keys(database, "acme1", 1, [ONE, TWO])

    assert await keys(database) == [("two", True, {})]


async def test_a_revision_that_is_written_again_mends_what_differs(
    database: AsyncConnection,
) -> None:
    await write_keys(database, "acme1", 1, [ONE])
    await database.execute("UPDATE api_keys SET everywhere = true")

    await write_keys(database, "acme1", 1, [ONE])

    assert await keys(database) == [("one", False, {"orders.acme1": "read"})]


async def test_accounts_do_not_touch_each_other(database: AsyncConnection) -> None:
    await write_keys(database, "acme1", 5, [ONE])
    await write_keys(database, "globex", 1, [TWO])
    await write_keys(database, "globex", 2, [])

    assert len(await keys(database)) == 1
    with pytest.raises(psycopg.errors.UniqueViolation):
        await write_keys(database, "globex", 3, [ONE])
    assert len(await keys(database)) == 1


async def test_signing_keys_are_exactly_those_written(database: AsyncConnection) -> None:
    for wanted in ({"a": "1", "b": "2"}, {"b": "3"}, {}):
        rows = [SigningKeyRow(kid, {"x": value}) for kid, value in wanted.items()]
        await write_signing_keys(database, rows)

        cursor = await database.execute("SELECT kid, jwk FROM signing_keys ORDER BY 1")
        assert await cursor.fetchall() == [(kid, {"x": value}) for kid, value in wanted.items()]


async def test_every_change_is_announced_by_account(database: AsyncConnection) -> None:
    await database.execute("LISTEN api_keys")
    await write_keys(database, "acme1", 1, [ONE])
    await write_signing_keys(database, [SigningKeyRow("a", {"x": "1"})])
    await database.execute("DELETE FROM api_keys")

    announced = [told.payload async for told in database.notifies(timeout=60, stop_after=3)]
    assert announced == ["acme1", "*", "acme1"]
