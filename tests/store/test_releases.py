"""Releases: once made, never changed."""

import asyncio
from dataclasses import replace

import psycopg
import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Release, SchemaStep
from controlplane.store.pool import Pool
from controlplane.store.releases import Releases
from tests.store.rollout_views import release


async def test_a_release_is_read_back_as_it_was_made(pool: Pool) -> None:
    whole = Release(
        "r-1.31",
        "1.31.2",
        ingress_version="7",
        # Numbers that a database might write in another way: the digest would be another.
        configuration={"a": 1e300, "b": 1.0, "c": 1, "d": True, "e": "1", "f": 2**60},
        schema_steps=(SchemaStep("main", "1.19"),),
        minimum_from="1.30.0",
        artifacts={"temporal-server": "ab" * 32},
        description="as good as it gets",
    )

    made = await Releases(pool).create(whole, "olga")

    assert made.release == whole
    assert made.created_by == "olga"
    found = await Releases(pool).get("r-1.31")
    assert found == made
    assert found is not None
    assert found.release.digest == whole.digest


async def test_the_same_release_again_is_answered_as_the_first_time(pool: Pool) -> None:
    first, again = await asyncio.gather(
        Releases(pool).create(release(), "olga"), Releases(pool).create(release(), "otto")
    )

    assert first == again


async def test_a_name_stands_for_its_content_for_ever(pool: Pool) -> None:
    await Releases(pool).create(release(), "olga")
    other = replace(release(), configuration={"a.b": 0.75})

    with pytest.raises(ApplicationError) as refusal:
        await Releases(pool).create(other, "olga")

    assert release().digest in refusal.value.message
    assert other.digest in refusal.value.message


@pytest.mark.parametrize(
    "change",
    ["UPDATE releases SET body = '{}'", "DELETE FROM releases", "TRUNCATE releases"],
)
async def test_not_even_the_database_lets_a_release_change(pool: Pool, change: str) -> None:
    await Releases(pool).create(release(), "olga")

    async with pool.connection() as connection:
        with pytest.raises(psycopg.Error, match="takes new rows only"):
            await connection.execute(change.encode())

    assert await Releases(pool).get(release().name) is not None


async def test_pages_go_from_the_newest_to_the_oldest(pool: Pool) -> None:
    releases = Releases(pool)
    for name in ("a", "b", "c"):
        await releases.create(release(name), "olga")

    first = await releases.page(limit=2)
    rest = await releases.page(before=first[-1].number, limit=2)

    assert [kept.release.name for kept in (*first, *rest)] == ["c", "b", "a"]
