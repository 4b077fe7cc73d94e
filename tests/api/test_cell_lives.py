"""Cells in clouds over HTTP: asked for once, followed, taken down."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from pydantic import JsonValue, TypeAdapter

from cells.life.types import Blueprint, LifeView, Phase, Residents
from controlplane.store.audit import AuditLog
from controlplane.store.cell_lives import CellLives
from controlplane.store.projections import Projections
from provisioning.evacuation.policy import EvacuationKind
from tests.api.life_writer import MemoryLifeWriter
from tests.api.running import RunningApi, Tenant
from tests.store.views import CELL, cell_view

LIVES = "/fleet/v1/cell-lives"
_VIEW = TypeAdapter(LifeView)
_VIEWS = TypeAdapter(list[LifeView])
_BLUEPRINT = TypeAdapter(Blueprint)


@pytest.fixture
def cell() -> str:
    """The name of a cell of this test's own."""
    return f"aws-us-east-1-{uuid4().hex[:8]}"


@pytest.fixture
async def engine(api: RunningApi) -> AsyncIterator[MemoryLifeWriter]:
    yield api.fleet.lives
    api.fleet.lives.reply_lost, api.fleet.lives.residents = False, Residents()


def body(cell: str, **asked: JsonValue) -> dict[str, JsonValue]:
    return {
        "cell": cell,
        "provider": "aws",
        "region": "aws-us-east-1",
        "ring": 1,
        "server_version": "1.30.1",
        **asked,
    }


async def post(tenant: Tenant, path: str, asked: dict[str, JsonValue]) -> httpx.Response:
    async with tenant.http() as http:
        return await http.post(f"{LIVES}{path}", json=asked)


async def created(tenant: Tenant, cell: str, **asked: JsonValue) -> LifeView:
    answer = await post(tenant, "", body(cell, **asked))
    assert answer.status_code == httpx.codes.OK, answer.text
    return _VIEW.validate_json(answer.content)


async def read(tenant: Tenant, cell: str) -> LifeView:
    async with tenant.http() as http:
        return _VIEW.validate_json((await http.get(f"{LIVES}/{cell}")).content)


async def listed(tenant: Tenant, **asked: str) -> list[str]:
    async with tenant.http() as http:
        found = _VIEWS.validate_json((await http.get(LIVES, params=asked)).content)
    return [each.blueprint.cell for each in found]


async def tell(tenant: Tenant, cell: str, what: str, **asked: JsonValue) -> httpx.Response:
    return await post(tenant, f"/{cell}:{what}", {"reason": "because", **asked})


async def test_a_cell_is_asked_for_and_read_back(
    operator: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    view = await created(
        operator, cell, capacity={"namespaces": 7, "actions_per_second": 70}, history_shards=1024
    )

    blueprint = view.blueprint
    assert (blueprint.cell, blueprint.cloud_region, blueprint.ring) == (cell, "us-east-1", 1)
    assert (blueprint.capacity.namespaces, blueprint.history_shards) == (7, 1024)
    assert blueprint.failover_version > 1000
    assert blueprint.network.endswith(".0.0/16")
    assert view.requested_by == operator.owner.email
    assert engine.created[-1].blueprint == blueprint
    assert await read(operator, cell) == view
    assert cell in await listed(operator)


async def test_the_same_request_again_builds_no_second_cell(
    operator: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    operation = str(uuid4())
    engine.reply_lost = True
    lost = await post(operator, "", body(cell, operation_id=operation))
    engine.reply_lost = False

    found = await created(operator, cell, operation_id=operation)
    again = await created(operator, cell, operation_id=operation)
    other = await post(operator, "", body(cell, operation_id=operation, ring=2))
    taken = await post(operator, "", body(cell))

    assert lost.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert again == found
    asked = [each.blueprint for each in engine.created if each.blueprint.cell == cell]
    assert asked == [found.blueprint] * 2
    assert (other.status_code, taken.status_code) == (httpx.codes.CONFLICT, httpx.codes.CONFLICT)
    assert "already stands for another cell" in other.json()["message"]
    assert f"the name '{cell}' is taken" in taken.json()["message"]


REFUSED: dict[str, tuple[dict[str, JsonValue], str]] = {
    "a provider": ({"provider": "azure"}, "provider: Input should be 'aws' or 'gcp'"),
    "another's region": ({"region": "gcp-us-central1"}, "is not one of aws's: choose one of aws-"),
    "a region": ({"region": "aws-us-moon-1"}, "region 'aws-us-moon-1' is not one of aws's"),
    "a ring": ({"ring": 9}, "ring 9 is not known: choose one of 0, 1, 2, 3, or 4 for a new one"),
    "a version": ({"server_version": "1.31"}, "'1.31' is not a server version"),
    "no release": ({"server_version": "9.9.9"}, "no release brings it and no cell has it"),
    "a name": ({"cell": "Not-A-Name"}, "'Not-A-Name' is not a cell's name"),
    "a name in use": ({"cell": CELL}, f"the name '{CELL}' is taken"),
    "shards": ({"history_shards": 500}, "choose a power of two"),
    "capacity": ({"capacity": {"namespaces": 0}}, "capacity.namespaces"),
    "misspelt": ({"rings": 1}, "rings"),
    "an operation": ({"operation_id": "with blanks"}, "'with blanks' cannot be used"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_built_is_refused_and_begins_nothing(
    operator: Tenant, engine: MemoryLifeWriter, cell: str, case: str
) -> None:
    asked, told = REFUSED[case]
    begun = len(engine.created)

    for path in ("", ":preview"):
        if path == ":preview" and "operation_id" in asked:
            continue
        answer = await post(operator, path, {**body(cell), **asked})
        assert answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.CONFLICT), answer.text
        assert told in answer.json()["message"]

    assert len(engine.created) == begun


async def test_a_preview_says_what_the_cell_would_be_and_leaves_its_name_free(
    operator: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    begun = len(engine.created)

    answer = await post(operator, ":preview", body(cell))

    previewed = _BLUEPRINT.validate_json(answer.content)
    assert len(engine.created) == begun
    assert (await created(operator, cell)).blueprint.network == previewed.network


async def test_what_the_engine_refuses_leaves_the_name_free(
    operator: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    view = await created(operator, cell)
    # As if our database had been restored from before.
    async with operator.api.pool.connection() as connection:
        await connection.execute("DELETE FROM cell_lives WHERE cell = %s", (cell,))
        await connection.execute("DELETE FROM cell_blueprints WHERE cell = %s", (cell,))

    refused = await post(operator, "", body(cell))
    del engine.states[cell]
    after = await created(operator, cell)

    assert refused.status_code == httpx.codes.CONFLICT
    assert "choose another name" in refused.json()["message"]
    assert after.blueprint.uid != view.blueprint.uid


async def test_a_failed_cell_is_tried_again_or_abandoned(
    operator: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    await created(operator, cell)
    engine.build(cell, 2)
    await CellLives(operator.api.pool).publish_life(engine.fail(cell, "no quota for VPCs"))
    seen = await read(operator, cell)

    retried = await tell(operator, cell, "retry", operation_id="again-1")
    twice = await tell(operator, cell, "retry", operation_id="again-1")
    early = await tell(operator, cell, "decommission")
    abandoned = await tell(operator, cell, "abandon")

    assert seen.phase is Phase.FAILED
    assert "no quota for VPCs" in seen.message
    assert retried.json()["phase"] == twice.json()["phase"] == Phase.BUILDING
    assert early.status_code == httpx.codes.BAD_REQUEST
    assert "was never Ready: abandon it" in early.json()["message"]
    assert abandoned.json()["phase"] == (await read(operator, cell)).phase == Phase.DISMANTLING
    records = await AuditLog(operator.api.pool).read(operator.account, limit=100)
    done = [
        dict(each.entry.details)
        for each in records
        if each.entry.what == "fleet.cell-lives.control" and each.entry.status == "OK"
    ]
    assert (done[-1]["before"], done[-1]["after"]) == (
        {"phase": "Building"},
        {"phase": "Dismantling"},
    )


async def test_a_cell_with_namespaces_goes_only_with_a_drain_which_is_begun_for_it(
    operator: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    await created(operator, cell)
    await CellLives(operator.api.pool).publish_life(engine.build(cell))
    await Projections(operator.api.pool).publish_cell(cell_view(cell))
    engine.residents = Residents(1, ("orders.acme1",))

    refused = await tell(operator, cell, "decommission")
    draining = await tell(operator, cell, "decommission", drain=True, operation_id="go-1")
    again = await tell(operator, cell, "decommission", drain=True, operation_id="go-1")
    emptied = operator.api.fleet.evacuations.states[cell]
    kept = await tell(operator, cell, "keep")

    assert refused.status_code == httpx.codes.BAD_REQUEST
    assert "1 namespace lives there: orders.acme1" in refused.json()["message"]
    assert draining.json()["phase"] == again.json()["phase"] == Phase.DRAINING
    assert (emptied.kind, emptied.reason) == (EvacuationKind.DRAIN, "because")
    assert kept.status_code == httpx.codes.OK
    assert "it is kept" in kept.json()["message"]
    async with operator.api.pool.connection() as connection:
        await connection.execute("DELETE FROM cells WHERE id = %s", (cell,))


async def test_a_tombstone_answers_for_a_cell_that_is_gone(
    operator: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    operation = str(uuid4())
    await created(operator, cell, operation_id=operation)
    engine.build(cell, 2)
    await tell(operator, cell, "abandon")
    gone = engine.dismantle(cell)
    await CellLives(operator.api.pool).publish_life(gone)
    begun = len(engine.created)

    again = await created(operator, cell, operation_id=operation)
    anew = await post(operator, "", body(cell))

    assert again.phase is Phase.GONE
    assert len(engine.created) == begun
    assert anew.status_code == httpx.codes.CONFLICT
    assert cell not in await listed(operator)
    assert cell in await listed(operator, gone="true")


async def test_a_cell_that_was_not_built_here_has_no_life(operator: Tenant) -> None:
    async with operator.http() as http:
        unknown = await http.get(f"{LIVES}/{CELL}")
    told = await tell(operator, CELL, "decommission")

    assert unknown.status_code == told.status_code == httpx.codes.NOT_FOUND
    assert "`controlplane cell lives --all`" in told.json()["message"]
