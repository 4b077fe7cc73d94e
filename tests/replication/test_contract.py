"""What all links between cells owe to whoever asks for them."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from cells.replication.memory import MemoryLinkProjection
from cells.replication.observer import LinkObserver
from cells.replication.ports import CellLinks
from cells.types import CellView
from controlplane.errors import ErrorType
from tests.engine import MemoryCells
from tests.eventually import eventually
from tests.pair import running_pair
from tests.replication.linked import LinkedCells, at_another_name, in_memory, real

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Where a home can be: its path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="home-", dir="/tmp") as folder:
        yield Path(folder).resolve() / "home"


@pytest.fixture(scope="module", params=["in memory", "real"])
async def cells(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[LinkedCells]:
    if request.param == "in memory":
        yield await in_memory()
        return
    async with AsyncExitStack() as stack:
        pair = await stack.enter_async_context(running_pair(home, count=3, joined=False))
        yield await real(pair)


async def healthy(links: CellLinks, cell: str, peer: str) -> None:
    async def is_healthy() -> bool:
        return (await links.health(cell, peer)).is_healthy

    await eventually(is_healthy)


async def test_two_that_are_joined_pull_from_each_other_and_hear_each_other(
    cells: LinkedCells,
) -> None:
    one, other, _ = [view.id for view in cells.views]
    before = datetime.now(UTC)
    for cell, peer in ((one, other), (other, one)):
        (link,) = await cells.links.links(cell)
        assert (link.cell, link.peer, link.is_open, link.is_current) == (cell, peer, True, True)
        health = await cells.links.health(cell, peer)
        assert health.is_healthy, health
        assert (health.cell, health.peer) == (cell, peer)
        assert health.at >= before
        assert health.lag is not None
        assert timedelta(0) <= health.lag < timedelta(minutes=1)


async def test_joining_again_changes_nothing(cells: LinkedCells) -> None:
    one, other, _ = [view.id for view in cells.views]
    before = [await cells.links.links(cell) for cell in (one, other)]
    await cells.links.join(other, one)
    assert [await cells.links.links(cell) for cell in (one, other)] == before


async def test_names_are_told_apart_by_who_says_them(cells: LinkedCells) -> None:
    one, other, _ = [view.id for view in cells.views]
    for cell, peer in ((one, other), (other, one)):
        names = {await cells.links.cluster_name(cell, of) for of in (cell, peer)}
        assert len(names) == 2
        (link,) = await cells.links.links(cell)
        assert link.name == await cells.links.cluster_name(cell, peer)


async def test_a_stranger_has_no_name_no_links_and_no_health(cells: LinkedCells) -> None:
    one, _, stranger = [view.id for view in cells.views]
    assert await cells.links.links(stranger) == ()
    assert await cells.links.cluster_name(stranger, stranger)
    for cell, of in ((one, stranger), (stranger, one)):
        with pytest.raises(ApplicationError, match="are not joined") as refused:
            await cells.links.cluster_name(cell, of)
        assert refused.value.type == ErrorType.FAILED_PRECONDITION
        health = await cells.links.health(cell, of)
        assert health.lag is None
        assert "are not joined" in health.problems[0]
        assert not health.is_healthy


async def test_a_cell_that_nobody_knows_is_not_found(cells: LinkedCells) -> None:
    known = cells.views[0].id
    for ask in (
        cells.links.join(known, "atlantis"),
        cells.links.links("atlantis"),
        cells.links.health(known, "atlantis"),
        cells.links.cluster_name(known, "atlantis"),
    ):
        with pytest.raises(ApplicationError, match="atlantis") as refused:
            await ask
        assert refused.value.type == ErrorType.NOT_FOUND


def without_failover_version(view: CellView) -> CellView:
    return replace(view, spec=replace(view.spec, failover_version=0))


def without_address(view: CellView) -> CellView:
    addresses = replace(view.spec.addresses, replication={})
    return replace(view, spec=replace(view.spec, addresses=addresses))


async def test_what_can_never_be_joined_is_rejected_with_what_to_do(cells: LinkedCells) -> None:
    one, _, stranger = cells.views
    for peer, why in (
        (without_failover_version(stranger), "has no failover version on record"),
        (without_address(stranger), f"no address is on record where cell {one.id} could pull"),
        (
            replace(
                stranger, spec=replace(stranger.spec, failover_version=one.spec.failover_version)
            ),
            "both have the initial failover version",
        ),
    ):
        with pytest.raises(ApplicationError, match=why) as refused:
            await cells.links_among([one, peer]).join(one.id, peer.id)
        assert refused.value.type == ErrorType.REJECTED
    with pytest.raises(ApplicationError, match="with itself"):
        await cells.links.join(one.id, one.id)
    assert await cells.links.links(stranger.id) == ()


async def test_what_does_not_arrive_is_told_and_only_that_way(cells: LinkedCells) -> None:
    one, other, _ = [view.id for view in cells.views]
    await healthy(cells.links, one, other)
    await cells.cut(other)
    try:
        deaf = await cells.impatient.health(one, other)
        assert "has not arrived" in deaf.problems[0]
        assert deaf.lag is not None
        assert (await cells.links.health(other, one)).is_healthy
        later = await cells.impatient.health(one, other)
        assert later.lag is not None
        assert later.lag > deaf.lag
    finally:
        await cells.mend(other)
    await healthy(cells.links, one, other)


async def test_a_cell_that_is_down_takes_none_of_the_others_words(cells: LinkedCells) -> None:
    one, other, _ = [view.id for view in cells.views]
    await healthy(cells.links, one, other)
    names = [await cells.links.cluster_name(one, of) for of in (one, other)]
    await cells.silence(other)
    try:
        assert [await cells.links.cluster_name(one, of) for of in (one, other)] == names
        assert [link.peer for link in await cells.links.links(one)] == [other]
        for cell, peer in ((one, other), (other, one)):
            health = await cells.links.health(cell, peer)
            assert any(other in problem for problem in health.problems)
            assert not health.is_healthy
        for ask in (cells.links.links(other), cells.links.join(one, other)):
            with pytest.raises(ConnectionError, match=other):
                await ask
    finally:
        await cells.wake(other)
    for cell, peer in ((one, other), (other, one)):
        await healthy(cells.links, cell, peer)


async def test_a_peer_that_has_moved_is_joined_again_where_it_is_now(cells: LinkedCells) -> None:
    one, other, stranger = cells.views
    moved = cells.links_among([one, at_another_name(other), stranger])
    (link,) = await moved.links(one.id)
    assert link.is_open
    assert not link.is_current
    told = await moved.health(one.id, other.id)
    assert "join them again" in told.problems[0]
    try:
        observer = LinkObserver(MemoryCells(), moved, MemoryLinkProjection())
        (seen,) = await observer.look(one.id)
        assert seen.is_healthy, seen
        (link,) = await moved.links(one.id)
        assert link.is_current
    finally:
        await cells.links.join(one.id, other.id)
