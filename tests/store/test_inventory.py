"""The fleet as rollouts see it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cells.release import Software
from cells.silence import SILENT_AFTER
from cells.types import DRIFTED, CellCondition, CellView, Cordon
from cells.visits.types import Visit, VisitPhase
from controlplane.resource import Condition, Conditions, ConditionStatus
from controlplane.store.calendars import Calendars
from controlplane.store.directory import Directory
from controlplane.store.inventory import StoredInventory, cell_facts
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel
from controlplane.store.releases import Releases
from provisioning.types import NamespaceCondition, NamespaceLife
from rollout.calendar import Calendar
from rollout.types import CellFacts, Replicas
from tests.store.rollout_views import OTHER_CELL, release
from tests.store.test_calendars import frozen
from tests.store.views import CELL, NOW, cell_view, namespace_view, replicated


def looked_at(status: ConditionStatus, generation: int = 1, message: str = "") -> CellView:
    condition = Condition(CellCondition.READY, status, "PartsFailing", generation, NOW, message)
    return replace(cell_view(), conditions={CellCondition.READY: condition})


def test_a_cell_is_told_as_a_rollout_has_to_know_it() -> None:
    visit = Visit("r1/c1/1", "server-1.31.2", "rollout/r1", VisitPhase.SERVER, "", NOW)
    view = replace(
        cell_view(),
        release="ab" * 32,
        visit=visit,
        quarantine=Cordon("it smokes", "visit r1/c1/1", NOW),
    )

    assert cell_facts(view) == CellFacts(
        id=CELL,
        provider="aws",
        region="aws-us-east-1",
        ring=1,
        server_version="1.30.1",
        release="ab" * 32,
        ready=True,
        visit="r1/c1/1",
        quarantine="it smokes",
        namespaces=1,
    )


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (replace(cell_view(), conditions={}), "nobody has looked at it yet"),
        (looked_at(ConditionStatus.FALSE, message="envoy is gone"), "PartsFailing: envoy is gone"),
        (looked_at(ConditionStatus.UNKNOWN), "PartsFailing"),
        (
            replace(looked_at(ConditionStatus.TRUE), generation=2),
            "it was last looked at as generation 1, and is at 2 now",
        ),
    ],
    ids=["never seen", "failing", "unknown", "changed since"],
)
def test_only_a_cell_that_is_known_to_be_ready_is_ready(view: CellView, why: str) -> None:
    facts = cell_facts(view)

    assert (facts.ready, facts.why_not_ready) == (False, why)


def drifted(**changes: object) -> CellView:
    """Return a cell whose server somebody changed by hand."""
    how = "it runs server 1.29.9, and 1.30.1 was brought to it"
    conditions = {
        kind: Condition(kind, ConditionStatus.FALSE, DRIFTED, 1, NOW, how)
        for kind in (CellCondition.READY, CellCondition.IN_SYNC)
    }
    return replace(cell_view(), conditions=conditions, **changes)  # type: ignore[arg-type]


def test_a_cell_that_drifted_is_told_with_how_and_is_not_sick() -> None:
    facts = cell_facts(drifted())

    assert facts.drift == "it runs server 1.29.9, and 1.30.1 was brought to it"
    assert (facts.ready, facts.why_not_ready) == (True, "")


def test_a_cell_that_is_changed_now_or_was_since_is_not_said_to_have_drifted() -> None:
    visit = Visit("r1/c1/1", "server-1.31.2", "rollout/r1", VisitPhase.SERVER, "", NOW)

    assert cell_facts(drifted(visit=visit)).drift == ""
    assert cell_facts(drifted(generation=2)).drift == ""
    assert not cell_facts(drifted(generation=2)).ready


async def test_a_cell_of_which_nobody_speaks_any_more_is_not_known_to_be_ready(pool: Pool) -> None:
    long_ago = datetime.now(UTC) - SILENT_AFTER
    await Projections(pool).publish_cell(replace(cell_view(), said_at=long_ago))
    await Projections(pool).publish_cell(replace(cell_view(OTHER_CELL), said_at=datetime.now(UTC)))

    known, other = (await StoredInventory(pool).take()).cells
    read = await ReadModel(pool).cell(CELL)
    placed = {cell.id: cell for cell in await Directory(pool).cells()}

    assert (known.ready, other.ready) == (False, True)
    assert known.why_not_ready.startswith("EntitySilent: its entity has said nothing since")
    assert read is not None
    assert read.conditions[CellCondition.READY].status is ConditionStatus.UNKNOWN
    assert placed[CELL].conditions[CellCondition.READY].status is ConditionStatus.UNKNOWN
    assert placed[OTHER_CELL].conditions[CellCondition.READY].status is ConditionStatus.TRUE


def test_a_server_that_does_not_answer_has_the_version_it_should_have() -> None:
    assert cell_facts(replace(cell_view(), server_version=None)).server_version == "1.30.1"


async def test_the_inventory_is_all_that_is_known(pool: Pool) -> None:
    await Projections(pool).publish_cell(replace(cell_view(), release=release().digest))
    await Projections(pool).publish_cell(cell_view(OTHER_CELL, region="aws-us-west-2"))
    await Releases(pool).create(release(), "olga")
    await Releases(pool).create(release("newer", "1.32.0"), "olga")
    await Calendars(pool).change(frozen, by="olga", reason="x")

    fleet = await StoredInventory(pool).take()

    assert [cell.id for cell in fleet.cells] == [CELL, OTHER_CELL]
    assert fleet.servers == ("1.31.2", "1.32.0")
    assert fleet.calendar == frozen(Calendar())
    assert fleet.replicas == ()


def test_what_a_cell_runs_is_known_to_bring_it_back_to() -> None:
    software = Software("1.31.2", configuration={"frontend.rps": 100})
    assert cell_facts(replace(cell_view(), software=software)).software == software


async def test_a_calendar_that_cannot_be_read_lets_nothing_start(pool: Pool) -> None:
    await Projections(pool).publish_cell(cell_view())
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO calendars (revision, calendar, changed_by, reason) "
            """VALUES (1, '{"windows": "of opportunity"}', 'a later version', 'x')"""
        )

    fleet = await StoredInventory(pool).take()

    assert fleet.calendar == Calendar(source_ok=False)
    assert [cell.id for cell in fleet.cells] == [CELL]


async def test_a_namespace_in_one_cell_has_no_replicas(pool: Pool) -> None:
    await Projections(pool).publish_namespace(namespace_view())

    assert (await StoredInventory(pool).take()).replicas == ()


async def test_the_replicas_of_a_namespace_are_known_as_it_published_them(pool: Pool) -> None:
    published = replicated("aws-us-west-2", "aws-us-east-1", "gcp-us-central1")
    await Projections(pool).publish_namespace(published)
    await Projections(pool).publish_namespace(namespace_view("bills.acme1"))

    fleet = await StoredInventory(pool).take()

    assert fleet.replicas == (
        Replicas("orders.acme1", "aws-us-west-2-c1", ("aws-us-east-1-c1", "gcp-us-central1-c1")),
    )


async def test_a_failover_changes_which_replica_is_the_active_one(pool: Pool) -> None:
    pair = ("aws-us-east-1", "aws-us-west-2")
    await Projections(pool).publish_namespace(replicated(*pair))
    await Projections(pool).publish_namespace(replicated(*pair, active=pair[1], revision=2))

    fleet = await StoredInventory(pool).take()

    assert fleet.replicas == (Replicas("orders.acme1", OTHER_CELL, (CELL,)),)


async def test_a_deleted_namespace_has_no_replicas(pool: Pool) -> None:
    view = replace(replicated("aws-us-east-1", "aws-us-west-2"), life=NamespaceLife.DELETED)
    await Projections(pool).publish_namespace(view)

    assert (await StoredInventory(pool).take()).replicas == ()


@pytest.mark.parametrize("status", ConditionStatus)
async def test_replicas_have_caught_up_only_if_that_is_what_was_seen(
    pool: Pool, status: ConditionStatus
) -> None:
    kind = NamespaceCondition.REPLICATED
    said: Conditions = {kind: Condition(kind, status, "Compared", 1, NOW)}
    view = replace(replicated("aws-us-east-1", "aws-us-west-2"), conditions=said)
    await Projections(pool).publish_namespace(view)

    (replicas,) = (await StoredInventory(pool).take()).replicas

    assert replicas.caught_up is (status is ConditionStatus.TRUE)
