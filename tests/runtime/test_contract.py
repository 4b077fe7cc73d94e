"""What every runtime of cells owes to whoever changes them."""

import asyncio
import re
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Release, SchemaStep, Software
from controlplane.errors import ErrorType
from tests.runtime.changed_cell import ChangedCell

pytestmark = pytest.mark.timeout(300)

OLDER, NEWER = Software("1.31.2"), Software("1.32.0")
LIMITED = replace(NEWER, configuration={"frontend.namespaceCount": 12_345})


async def test_a_cell_runs_what_was_deployed_and_says_so(cell: ChangedCell) -> None:
    generation = cell.next_generation()
    for software in (NEWER, LIMITED):
        before = await cell.incarnation()
        deployed = await cell.runtime.deploy(cell.id, cell.spec, software, generation)
        assert deployed.server_version == software.server_version
        assert await cell.runtime.running(cell.id, cell.spec) == software
        assert await cell.incarnation() != before


async def test_what_is_deployed_already_is_left_alone_and_answered_as_before(
    cell: ChangedCell,
) -> None:
    await cell.runtime.deploy(cell.id, cell.spec, OLDER, cell.next_generation())
    generation = cell.next_generation()
    first = await cell.runtime.deploy(cell.id, cell.spec, NEWER, generation)
    before = await cell.incarnation()
    assert await cell.runtime.deploy(cell.id, cell.spec, NEWER, generation) == first
    later = cell.next_generation()
    assert (await cell.runtime.deploy(cell.id, cell.spec, NEWER, later)).gap.total_seconds() == 0
    assert await cell.incarnation() == before


async def test_a_late_call_of_an_earlier_generation_changes_nothing(cell: ChangedCell) -> None:
    earlier, later = cell.next_generation(), cell.next_generation()
    await cell.runtime.deploy(cell.id, cell.spec, NEWER, later)
    before = await cell.incarnation()
    with pytest.raises(ApplicationError) as refused:
        await cell.runtime.deploy(cell.id, cell.spec, OLDER, earlier)
    assert refused.value.type == ErrorType.STALE_GENERATION
    with pytest.raises(ApplicationError) as refused:
        await cell.runtime.migrate_schema(cell.id, cell.spec, [SchemaStep("main", "1")], earlier)
    assert refused.value.type == ErrorType.STALE_GENERATION
    assert await cell.runtime.running(cell.id, cell.spec) == NEWER
    assert await cell.incarnation() == before


async def test_a_late_call_of_an_earlier_hop_changes_nothing_and_a_higher_generation_goes_back(
    cell: ChangedCell,
) -> None:
    await cell.runtime.deploy(cell.id, cell.spec, OLDER, cell.next_generation())
    generation = cell.next_generation()
    await cell.runtime.deploy(cell.id, cell.spec, LIMITED, generation)
    await cell.runtime.deploy(cell.id, cell.spec, NEWER, generation)
    before = await cell.incarnation()
    with pytest.raises(ApplicationError, match=r"has left .* behind") as refused:
        await cell.runtime.deploy(cell.id, cell.spec, LIMITED, generation)
    assert refused.value.type == ErrorType.STALE_GENERATION
    assert await cell.incarnation() == before
    undone = await cell.runtime.deploy(cell.id, cell.spec, OLDER, cell.next_generation())
    assert undone.server_version == OLDER.server_version


async def test_a_migration_that_is_asked_for_fences_what_came_before_it(cell: ChangedCell) -> None:
    earlier, later = cell.next_generation(), cell.next_generation()
    steps = [SchemaStep("main", "1.19"), SchemaStep("visibility", "1.14")]
    for _ in range(2):
        await cell.runtime.migrate_schema(cell.id, cell.spec, steps, later)
    with pytest.raises(ApplicationError) as refused:
        await cell.runtime.deploy(cell.id, cell.spec, LIMITED, earlier)
    assert refused.value.type == ErrorType.STALE_GENERATION


async def test_a_version_that_does_not_exist_is_rejected_before_anything_is_touched(
    cell: ChangedCell,
) -> None:
    found, before = await cell.runtime.running(cell.id, cell.spec), await cell.incarnation()
    with pytest.raises(ApplicationError, match=r"no .*server '?1\.31\.9") as refused:
        await cell.runtime.deploy(cell.id, cell.spec, Software("1.31.9"), cell.next_generation())
    assert refused.value.type == ErrorType.REJECTED
    assert await cell.runtime.running(cell.id, cell.spec) == found
    assert await cell.incarnation() == before


async def test_deployments_of_one_cell_are_made_one_after_the_other(cell: ChangedCell) -> None:
    await cell.runtime.deploy(cell.id, cell.spec, OLDER, cell.next_generation())
    first, second = cell.next_generation(), cell.next_generation()
    answers = await asyncio.gather(
        cell.runtime.deploy(cell.id, cell.spec, LIMITED, first),
        cell.runtime.deploy(cell.id, cell.spec, NEWER, second),
        cell.runtime.deploy(cell.id, cell.spec, NEWER, second),
        return_exceptions=True,
    )
    assert await cell.runtime.running(cell.id, cell.spec) == NEWER
    assert answers[1] == answers[2]
    late = answers[0]
    if isinstance(late, ApplicationError):
        assert late.type == ErrorType.STALE_GENERATION


@pytest.mark.parametrize(
    ("release", "obstacle"),
    [
        (Release("next", "1.32.0"), ""),
        (Release("back", "1.30.2"), ""),
        (Release("configuration", configuration={"frontend.namespaceCount": 7}), ""),
        (Release("unheard-of", "1.32.9"), r"there is no .*server '?1\.32\.9"),
        (Release("far", "1.33.0"), r"by way of 1\.32|no .*server '?1\.33\.0"),
        (Release("older", "1.29.0"), r"by one minor version at most"),
    ],
    ids=lambda value: value.name if isinstance(value, Release) else "",
)
async def test_what_stands_against_a_release_is_said(
    cell: ChangedCell, release: Release, obstacle: str
) -> None:
    await cell.runtime.deploy(cell.id, cell.spec, OLDER, cell.next_generation())
    found = await cell.runtime.obstacles(cell.id, cell.spec, release)
    assert bool(found) == bool(obstacle), found
    assert re.search(obstacle, "; ".join(found))
