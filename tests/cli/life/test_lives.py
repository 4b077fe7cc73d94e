"""Cells in clouds by command: asked for, followed layer by layer, taken down."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from cells.life.types import LifeView, Phase, Residents
from controlplane.store.cell_lives import CellLives
from controlplane.store.projections import Projections
from provisioning.evacuation.policy import EvacuationKind
from tests.api.life_writer import ACCOUNT, FOUNDATION, MemoryLifeWriter
from tests.api.running import RunningApi, Tenant
from tests.cli.command import Cli, Finished
from tests.store.views import CELL, cell_view

BECAUSE = ("--reason", "its successor is there")
REQUIRED = ("--provider", "aws", "--region", "us-east-1", "--ring", 1, "--version", "1.30.1")


@pytest.fixture
def cell() -> str:
    """The name of a cell of this test's own."""
    return f"aws-us-east-1-{uuid4().hex[:8]}"


@pytest.fixture
async def engine(api: RunningApi) -> AsyncIterator[MemoryLifeWriter]:
    yield api.fleet.lives
    api.fleet.lives.reply_lost, api.fleet.lives.residents = False, Residents()


async def publish(tenant: Tenant, view: LifeView) -> None:
    await CellLives(tenant.api.pool).publish_life(view)


async def begun(cli: Cli, cell: str, *options: object) -> Finished:
    done = await cli.run("cell", "create", cell, *REQUIRED, "--no-wait", *options)
    assert done.exit_code == 0, done.stderr
    return done


async def test_a_cell_is_asked_for_as_the_options_say(
    cli: Cli, engine: MemoryLifeWriter, cell: str
) -> None:
    done = await begun(
        cli,
        cell,
        *("--namespaces", 7, "--actions-per-second", 70, "--history-shards", 1024),
        *("--failure-domain", "use1-az1", "--operation-id", f"build-{cell}"),
    )

    asked = engine.created[-1]
    assert asked.operation == f"build-{cell}"
    assert (asked.blueprint.cell, asked.blueprint.region) == (cell, "aws-us-east-1")
    assert (asked.blueprint.ring, asked.blueprint.server_version) == (1, "1.30.1")
    assert (asked.blueprint.capacity.namespaces, asked.blueprint.history_shards) == (7, 1024)
    assert asked.blueprint.failure_domain == "use1-az1"
    assert f"controlplane cell life {cell} --watch" in done.stderr


async def test_building_is_followed_layer_by_layer_until_the_cell_is_ready(
    cli: Cli, tenant: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    async with cli.started("cell", "create", cell, *REQUIRED) as command:
        await command.said(f"Building {cell} in aws-us-east-1")
        await publish(tenant, engine.build(cell, 2))
        await command.said("✓ Make its account")
        await publish(tenant, engine.tell(cell, "12 of 61 resources"))
        await command.said("… Build network, cluster and database: 12 of 61 resources")
        await publish(tenant, engine.build(cell))
        finished = await command.finished()

    assert finished.exit_code == 0, finished.stderr
    assert finished.stderr.rindex("✓ Prove that") > finished.stderr.rindex("✓ Publish its name")
    assert f"{cell} is Ready: it serves, and takes namespaces." in finished.stdout


async def test_a_layer_that_fails_is_named_with_what_to_do_and_tried_again(
    cli: Cli, tenant: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    await begun(cli, cell)
    engine.build(cell, 2)
    await publish(tenant, engine.fail(cell, "no quota for VPCs"))

    watched = await cli.run("cell", "life", cell, "--watch")
    shown = await cli.run("cell", "life", cell)
    retried = await cli.run("cell", "retry", cell, *BECAUSE, "--no-wait")

    assert watched.exit_code == 1
    (line,) = [each for each in watched.stderr.splitlines() if "✗" in each]
    assert "Build network, cluster and database" in line
    assert line.endswith("no quota for VPCs")
    assert f"controlplane cell retry {cell}" in watched.stderr
    assert f"controlplane cell abandon {cell}" in shown.stdout
    assert ACCOUNT.id in shown.stdout
    assert retried.exit_code == 0, retried.stderr
    assert engine.states[cell].phase is Phase.BUILDING
    assert engine.states[cell].commands[-1].reason == "its successor is there"


async def test_a_dry_run_makes_nothing(cli: Cli, engine: MemoryLifeWriter, cell: str) -> None:
    before = len(engine.created)

    tried = await cli.run("cell", "create", cell, *REQUIRED, "--dry-run")
    plain = await cli.run("cell", "create", cell, *REQUIRED, "--dry-run", "-o", "json")
    refused = await cli.run("cell", "create", CELL, *REQUIRED, "--dry-run")

    assert tried.exit_code == 0, tried.stderr
    assert "500 namespaces, 10000 actions per second" in tried.stdout
    assert "Prove that a namespace works there" in tried.stdout
    assert json.loads(plain.stdout)["network"].endswith(".0.0/16")
    assert (refused.exit_code, len(engine.created)) == (1, before)
    assert f"the name '{CELL}' is taken" in refused.stderr


async def test_abandoning_asks_and_names_what_is_deleted(
    cli: Cli, tenant: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    await begun(cli, cell)
    await publish(tenant, engine.build(cell, 6))

    unsure = await cli.run("cell", "abandon", cell, *BECAUSE)
    async with cli.started("cell", "abandon", cell, *BECAUSE, "--yes") as command:
        await command.said(f"{cell} is Dismantling")
        await publish(tenant, engine.dismantle(cell))
        finished = await command.finished()

    assert unsure.exit_code == 2
    for named in (FOUNDATION.cluster.name, FOUNDATION.database, ACCOUNT.id, "its secrets"):
        assert named in unsure.stderr
    assert "its name in DNS" not in unsure.stderr
    assert finished.exit_code == 0, finished.stderr
    assert "↩ Sweep its account and close it" in finished.stderr
    assert f"{cell} is Gone" in finished.stdout


async def test_a_cell_is_drained_taken_down_and_held_back_by_what_is_left(
    cli: Cli, tenant: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    await begun(cli, cell)
    await publish(tenant, engine.build(cell))
    await Projections(tenant.api.pool).publish_cell(cell_view(cell))
    engine.residents = Residents(1, ("orders.acme1",))
    down = ("cell", "decommission", cell, *BECAUSE, "--yes")

    refused = await cli.run(*down)
    async with cli.started(*down, "--drain") as command:
        await command.said(f"{cell} is Draining")
        emptied = tenant.api.fleet.evacuations.states[cell]
        await publish(tenant, engine.dismantle(cell, "vol-123"))
        await command.said("vol-123")
        shown = await cli.run("cell", "life", cell)
        await publish(tenant, engine.dismantle(cell))
        finished = await command.finished()

    assert refused.exit_code == 1
    assert "1 namespace lives there: orders.acme1" in refused.stderr
    assert emptied.kind is EvacuationKind.DRAIN
    assert f"Delete what is left in account {ACCOUNT.id}" in shown.stdout
    assert finished.exit_code == 0, finished.stderr
    async with tenant.api.pool.connection() as connection:
        await connection.execute("DELETE FROM cells WHERE id = %s", (cell,))


async def test_a_decommission_is_called_off(
    cli: Cli, tenant: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    await begun(cli, cell)
    await publish(tenant, engine.build(cell))
    engine.residents = Residents(1, ("orders.acme1",))
    await Projections(tenant.api.pool).publish_cell(cell_view(cell))
    await cli.run("cell", "decommission", cell, *BECAUSE, "--yes", "--drain", "--no-wait")

    kept = await cli.run("cell", "keep", cell, *BECAUSE, "--no-wait")
    await publish(tenant, engine.reopen(cell))
    watched = await cli.run("cell", "life", cell, "--watch")

    assert kept.exit_code == 0, kept.stderr
    assert "it is kept" in kept.stderr
    assert watched.exit_code == 0, watched.stderr
    async with tenant.api.pool.connection() as connection:
        await connection.execute("DELETE FROM cells WHERE id = %s", (cell,))


async def test_lives_are_listed_and_those_that_are_over_when_asked_for(
    cli: Cli, tenant: Tenant, engine: MemoryLifeWriter, cell: str
) -> None:
    await begun(cli, cell)
    engine.build(cell, 2)
    there = await cli.run("cell", "lives")
    await cli.run("cell", "abandon", cell, *BECAUSE, "--yes", "--no-wait")
    await publish(tenant, engine.dismantle(cell))

    gone = await cli.run("cell", "lives")
    everything = await cli.run("cell", "lives", "--all", "-o", "json")

    (row,) = [line for line in there.stdout.splitlines() if line.startswith(cell)]
    assert "Building" in row
    assert cell not in gone.stdout
    found = {each["blueprint"]["cell"]: each["phase"] for each in json.loads(everything.stdout)}
    assert found[cell] == "Gone"


async def test_a_lost_reply_says_how_to_ask_again(
    cli: Cli, engine: MemoryLifeWriter, cell: str
) -> None:
    engine.reply_lost = True
    lost = await cli.run("cell", "create", cell, *REQUIRED, "--operation-id", f"build-{cell}")
    engine.reply_lost = False

    await begun(cli, cell, "--operation-id", f"build-{cell}")

    assert lost.exit_code == 1
    assert f"Repeat it with --operation-id build-{cell}" in lost.stderr
    asked = [each.blueprint for each in engine.created if each.blueprint.cell == cell]
    assert asked[0] == asked[1]


async def test_what_cannot_be_asked_for_is_refused_with_the_reason(cli: Cli, cell: str) -> None:
    long = await cli.run("cell", "create", "c" * 200, *REQUIRED)
    shards = await cli.run("cell", "create", cell, *REQUIRED, "--history-shards", 500)
    nobody = await cli.run("cell", "life", "never-c1")
    why = await cli.run("cell", "abandon", cell, "--yes")

    assert (long.exit_code, shards.exit_code, nobody.exit_code, why.exit_code) == (2, 1, 1, 2)
    assert "cell: String should have at most 100 characters" in long.stderr
    assert "choose a power of two" in shards.stderr
    assert "`controlplane cell lives --all`" in nobody.stderr
    assert "give --reason" in why.stderr
