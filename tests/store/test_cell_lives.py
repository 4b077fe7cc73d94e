"""What new cells are given once and for all, and how their lives are read."""

import asyncio
from ipaddress import IPv4Network
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from cells.life.ports import LifeProjection
from cells.life.types import Phase
from controlplane.errors import ErrorType
from controlplane.settings import ApiSettings
from controlplane.store.cell_blueprints import CellBlueprints, ClaimedBlueprint, next_network
from controlplane.store.cell_lives import CellLives
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from tests.store.life_views import CELL, asked_cell, life_view
from tests.store.views import cell_view

ACCOUNT = "acme1"
SMALL = (IPv4Network("10.8.0.0/15"), IPv4Network("172.16.0.0/16"))


@pytest.fixture
async def blueprints(pool: Pool) -> CellBlueprints:
    async with pool.connection() as connection:
        await connection.execute("INSERT INTO accounts (id, name) VALUES (%s, 'Acme')", (ACCOUNT,))
    return CellBlueprints(pool, SMALL)


async def claim(
    blueprints: CellBlueprints, cell: str = CELL, operation: str = "", *, ring: int = 1
) -> ClaimedBlueprint:
    asked = asked_cell(cell, ring=ring)
    return await blueprints.claim(asked, operation or str(uuid4()), ACCOUNT, "olga@example.com")


def given(claims: list[ClaimedBlueprint]) -> set[tuple[int, str]]:
    return {(each.blueprint.failover_version, each.blueprint.network) for each in claims}


async def test_the_same_request_again_is_given_the_same_blueprint(
    blueprints: CellBlueprints,
) -> None:
    first, *others = await asyncio.gather(*(claim(blueprints, operation="o1") for _ in range(4)))

    assert all(other == first for other in others)
    assert len(first.blueprint.uid) == 8
    assert first.blueprint.uid[0].isalpha()
    with pytest.raises(ApplicationError, match="'o1' already stands for another") as refused:
        await claim(blueprints, operation="o1", ring=2)
    assert refused.value.type == ErrorType.ALREADY_EXISTS


async def test_cells_asked_for_at_once_share_neither_number_nor_network(
    blueprints: CellBlueprints,
) -> None:
    claims = await asyncio.gather(*(claim(blueprints, f"cell-{n}") for n in range(3)))

    networks = ("10.8.0.0/16", "10.9.0.0/16", "172.16.0.0/16")
    assert given(claims) == set(zip((1001, 1002, 1003), networks, strict=True))
    with pytest.raises(ApplicationError, match="CONTROLPLANE_CELL_NETWORKS"):
        await claim(blueprints, "cell-3")


async def test_a_name_is_taken_by_whatever_has_it_or_had_it(
    pool: Pool, blueprints: CellBlueprints
) -> None:
    await Projections(pool).publish_cell(cell_view("embedded-c1"))
    await CellLives(pool).publish_life(life_view("tombstone-c1", phase=Phase.GONE))
    await claim(blueprints, "asked-for-c1")

    for cell in ("embedded-c1", "tombstone-c1", "asked-for-c1"):
        with pytest.raises(ApplicationError, match=f"the name '{cell}' is taken") as refused:
            await claim(blueprints, cell)
        assert refused.value.type == ErrorType.ALREADY_EXISTS


async def test_a_refused_request_frees_its_name_and_its_id_but_nothing_it_was_given(
    blueprints: CellBlueprints,
) -> None:
    refused = await claim(blueprints, operation="o1")
    await blueprints.withdraw("o1", ACCOUNT)

    again = await claim(blueprints, operation="o1", ring=2)

    assert again.blueprint.cell == refused.blueprint.cell
    assert len(given([refused, again])) == 2
    assert refused.blueprint.network != again.blueprint.network


async def test_a_preview_gives_nothing_away(blueprints: CellBlueprints) -> None:
    previewed = await blueprints.preview(asked_cell(), ACCOUNT)

    claimed = await claim(blueprints)

    assert given([claimed]) == {(previewed.failover_version, previewed.network)}


async def test_numbers_go_on_after_those_that_cells_have(
    pool: Pool, blueprints: CellBlueprints
) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO cells (id, revision, view) "
            """VALUES ('other-c1', 1, '{"spec": {"failover_version": 5000}}')"""
        )

    assert (await claim(blueprints)).blueprint.failover_version == 5001


def test_a_network_that_overlaps_what_was_given_is_never_given() -> None:
    given_once = [IPv4Network("10.8.128.0/20")]

    assert next_network(SMALL, given_once) == IPv4Network("10.9.0.0/16")
    assert next_network(SMALL[1:], [IPv4Network("172.16.0.0/12")]) is None


def test_ranges_for_cells_come_from_the_environment() -> None:
    listen = {f"CONTROLPLANE_API_{each}_LISTEN": "127.0.0.1:0" for each in ("GRPC", "TLS", "HTTP")}

    def read(networks: str) -> ApiSettings:
        return ApiSettings.from_env({**listen, "CONTROLPLANE_CELL_NETWORKS": networks})

    assert read("10.8.0.0/15,172.16.0.0/16").cell_networks == SMALL
    assert read("").cell_networks == (IPv4Network("10.64.0.0/10"),)
    for wrong in ("10.0.0.1/8", "10.0.0.0/20", "everywhere"):
        with pytest.raises(ValueError, match="CONTROLPLANE_CELL_NETWORKS has"):
            read(wrong)


async def test_the_newest_view_of_a_life_stays_in_whatever_order_views_arrive(pool: Pool) -> None:
    lives = CellLives(pool)
    projection: LifeProjection = lives
    views = [life_view(revision=revision, message=f"{revision}") for revision in (2, 5, 1, 4)]

    await asyncio.gather(*map(projection.publish_life, views))

    assert await lives.get(CELL) == views[1]
    assert await lives.get("never-c1") is None


async def test_lives_that_are_over_stay_and_are_listed_only_when_asked_for(pool: Pool) -> None:
    lives = CellLives(pool)
    gone, there = life_view("a-c1", phase=Phase.GONE), life_view("b-c1", phase=Phase.READY)
    for view in (there, gone):
        await lives.publish_life(view)

    assert await lives.all() == [there]
    assert await lives.all(gone=True) == [gone, there]
