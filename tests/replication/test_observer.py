import pytest

from cells.replication.memory import MemoryLinkProjection
from cells.replication.observer import LinkObserver
from cells.types import ObservedCell
from tests.engine import MemoryCells
from tests.replication.linked import CellsInMemory, at_another_name, in_memory

SEEN = ObservedCell("1.32.0", ["the ingress fails"])


@pytest.fixture
async def cells() -> CellsInMemory:
    return await in_memory()


@pytest.fixture
def published() -> MemoryLinkProjection:
    return MemoryLinkProjection()


@pytest.fixture
def observer(cells: CellsInMemory, published: MemoryLinkProjection) -> LinkObserver:
    return LinkObserver(MemoryCells(lambda: SEEN), cells.memory, published)


async def test_each_look_at_a_cell_publishes_how_it_keeps_up_with_its_peers(
    cells: CellsInMemory, observer: LinkObserver, published: MemoryLinkProjection
) -> None:
    one, other, stranger = cells.views
    for view in cells.views:
        assert await observer.observe(view.id, view.spec) == SEEN
    assert {cell: [link.peer for link in links] for cell, links in published.published.items()} == {
        one.id: [other.id],
        other.id: [one.id],
        stranger.id: [],
    }
    await cells.cut(other.id)
    assert await observer.observe(one.id, one.spec) == SEEN
    (late,) = published.published[one.id]
    assert not late.is_healthy


async def test_a_cell_whose_links_cannot_be_seen_is_looked_at_all_the_same(
    cells: CellsInMemory, observer: LinkObserver, published: MemoryLinkProjection
) -> None:
    one = cells.views[0]
    await observer.observe(one.id, one.spec)
    before = dict(published.published)
    await cells.silence(one.id)
    assert await observer.observe(one.id, one.spec) == SEEN
    assert published.published == before


async def test_a_peer_that_has_moved_and_is_down_is_a_late_link_and_no_error(
    cells: CellsInMemory, published: MemoryLinkProjection
) -> None:
    one, other, _ = cells.views
    await cells.silence(other.id)
    moved = cells.links_among([one, at_another_name(other)])
    observer = LinkObserver(MemoryCells(lambda: SEEN), moved, published)
    (late,) = await observer.look(one.id)
    assert not late.is_healthy
