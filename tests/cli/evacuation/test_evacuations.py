"""Emptying cells by command: begun, listed, shown, steered."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from controlplane.store.evacuation_projections import EvacuationProjections
from controlplane.store.projections import Projections
from controlplane.store.replication import ReplicationLinks
from provisioning.evacuation.policy import Confirm, EvacuationKind, TierOrder
from provisioning.evacuation.types import EvacuationState, Outcome, Phase
from provisioning.types import FailoverMode
from tests.api.running import RunningApi, Tenant
from tests.cli.command import Cli, Finished
from tests.store.replica_views import evacuation_view, link
from tests.store.views import cell_view

BECAUSE = ("--reason", "its disk is slow")


@pytest.fixture
async def cell(api: RunningApi) -> AsyncIterator[str]:
    """A cell of this test's own."""
    view = cell_view(f"aws-us-east-1-{uuid4().hex[:8]}")
    await Projections(api.pool).publish_cell(view)
    yield view.id
    async with api.pool.connection() as connection:
        await connection.execute("DELETE FROM cells WHERE id = %s", (view.id,))


def state(tenant: Tenant, cell: str) -> EvacuationState:
    return tenant.api.fleet.evacuations.states[cell]


async def did(cli: Cli, *arguments: str) -> Finished:
    done = await cli.run(*arguments, *BECAUSE, "--yes")
    assert done.exit_code == 0, done.stderr
    return done


async def told(cli: Cli, what: str, *arguments: str) -> Finished:
    done = await cli.run("evacuation", what, *arguments, "--reason", "because")
    assert done.exit_code == 0, done.stderr
    return done


async def test_a_cell_is_evacuated_by_the_rules_that_are_given(
    cli: Cli, tenant: Tenant, cell: str
) -> None:
    begun = await did(
        cli,
        *("cell", "evacuate", cell, "--at-once", "2", "--per-minute", "9", "--first", "lowest"),
        *("--patience", "5m", "--graceful", "--move-opted-out"),
    )

    assert f"Evacuating {cell} ({cell}-1) has begun" in begun.stderr
    asked = state(tenant, cell)
    assert (asked.kind, asked.actor) == (EvacuationKind.EVACUATE, tenant.owner.email)
    assert (asked.policy.at_once, asked.policy.per_minute) == (2, 9)
    assert asked.policy.order is TierOrder.LOWEST_FIRST
    assert asked.policy.patience.total_seconds() == 300
    assert (asked.policy.mode, asked.policy.move_opted_out) == (FailoverMode.GRACEFUL, True)
    assert not asked.source_lost


async def test_a_dead_cell_is_evacuated_by_force(cli: Cli, tenant: Tenant, cell: str) -> None:
    unsure = await cli.run("cell", "evacuate", cell, "--source-lost", *BECAUSE)
    await did(cli, "cell", "evacuate", cell, "--source-lost")

    assert unsure.exit_code == 2
    assert "What has not been replicated may be lost." in unsure.stderr
    assert state(tenant, cell).source_lost


async def test_a_cell_is_drained_to_other_regions(cli: Cli, tenant: Tenant, cell: str) -> None:
    await did(
        cli,
        *("cell", "drain", cell, "--to-region", "aws-us-west-2", "--to-region", "gcp-us-east4"),
        *("--confirm", "auto", "--soak", "1h"),
    )

    policy = state(tenant, cell).policy
    assert state(tenant, cell).kind is EvacuationKind.DRAIN
    assert policy.other_regions == ("aws-us-west-2", "gcp-us-east4")
    assert (policy.confirm, policy.migration_soak.total_seconds()) == (Confirm.AUTO, 3600)


async def test_a_drill_is_begun_under_an_id_once(cli: Cli, tenant: Tenant, cell: str) -> None:
    drill = ("cell", "drill", cell, "--soak", "5m", "--id", f"{cell}-may", "-o", "json")

    first = json.loads((await did(cli, *drill)).stdout)
    again = json.loads((await did(cli, *drill)).stdout)

    assert first == again
    assert (first["id"], first["kind"]) == (f"{cell}-may", "drill")
    assert state(tenant, cell).policy.drill_soak.total_seconds() == 300


async def test_what_cannot_be_is_refused(cli: Cli, cell: str) -> None:
    both = await cli.run("cell", "evacuate", cell, "--graceful", "--forced", *BECAUSE, "--yes")
    when = await cli.run("cell", "drill", cell, "--soak", "soon", *BECAUSE, "--yes")
    why = await cli.run("cell", "drain", cell, "--yes")
    nowhere = await cli.run("cell", "drain", "nowhere-c1", *BECAUSE, "--yes")

    assert (both.exit_code, when.exit_code, why.exit_code, nowhere.exit_code) == (2, 2, 2, 1)
    assert "exclude each other" in both.stderr
    assert "--soak: 'soon' is no length of time" in when.stderr
    assert "give --reason" in why.stderr
    assert "cell 'nowhere-c1' not found" in nowhere.stderr


async def test_an_evacuation_is_steered_by_its_id_or_by_its_cell(
    cli: Cli, tenant: Tenant, cell: str
) -> None:
    await did(cli, "cell", "evacuate", cell)

    paused = await told(cli, "pause", cell)
    assert state(tenant, cell).paused_by == f"{tenant.owner.email}: because"
    resumed = await told(cli, "resume", f"{cell}-1")
    unsure = await cli.run("evacuation", "abort", cell, "--reason", "because")
    await told(cli, "abort", cell, "--yes")

    assert "It is paused: go on with controlplane evacuation resume" in paused.stderr
    assert f"Evacuating {cell} ({cell}-1): failing over" in resumed.stdout
    assert unsure.exit_code == 2
    assert state(tenant, cell).phase is Phase.STOPPING


async def test_what_never_was_cannot_be_steered_nor_shown(cli: Cli, cell: str) -> None:
    for command in (("pause", cell, "--reason", "x"), ("get", cell), ("watch", "never")):
        refused = await cli.run("evacuation", *command)
        assert refused.exit_code == 1, command
        assert "`controlplane evacuation list` shows those there are" in refused.stderr


async def test_an_evacuation_is_listed_and_shown_namespace_by_namespace(
    cli: Cli, tenant: Tenant, cell: str
) -> None:
    view = evacuation_view(f"{cell}-9", cell=cell)
    await EvacuationProjections(tenant.api.pool).publish_evacuation(view)

    listed = await cli.run("evacuation", "list", "--cell", cell)
    plain = await cli.run("evacuation", "list", "--cell", cell, "-o", "json")
    shown = await cli.run("evacuation", "get", cell)

    (row,) = [line for line in listed.stdout.splitlines() if line.startswith(view.id)]
    assert "1 waiting, 1 moving, 1 moved, 1 left" in row
    assert [each["id"] for each in json.loads(plain.stdout)] == [view.id]
    rows = {line.split()[0]: line for line in shown.stdout.splitlines() if ".acme1" in line}
    assert "failover to aws-us-west-2-c1, hand over" in rows["bills.acme1"]
    assert "it has one replica only" in rows["lone.acme1"]
    assert "5 are under way" in rows["late.acme1"]
    assert "gold" in rows["orders.acme1"]


async def test_watching_ends_with_the_evacuation_and_fails_with_it(
    cli: Cli, tenant: Tenant, cell: str
) -> None:
    for evacuation, outcome in ((f"{cell}-1", Outcome.SUCCEEDED), (f"{cell}-2", Outcome.FAILED)):
        view = evacuation_view(
            evacuation, cell=cell, phase=Phase.ENDED, outcome=outcome, message="that is that"
        )
        await EvacuationProjections(tenant.api.pool).publish_evacuation(view)

    well = await cli.run("evacuation", "watch", f"{cell}-1")
    badly = await cli.run("evacuation", "watch", cell)

    assert well.exit_code == 0, well.stderr
    assert f"{cell} succeeded: 1 waiting, 1 moving, 1 moved, 1 left." in well.stdout
    assert badly.exit_code == 1
    assert f"evacuation {cell}-2 of {cell} failed: that is that" in badly.stderr


async def test_beginning_and_watching_is_one_command(cli: Cli, tenant: Tenant, cell: str) -> None:
    drill = ("cell", "drill", cell, *BECAUSE, "--yes", "--watch")
    async with cli.started(*drill) as command:
        await command.said("  failing over")
        ended = tenant.api.fleet.evacuations.end(cell, Outcome.SUCCEEDED)
        await EvacuationProjections(tenant.api.pool).publish_evacuation(ended)
        finished = await command.finished()

    assert finished.exit_code == 0, finished.stderr
    assert f"{cell} succeeded" in finished.stdout


async def test_the_links_of_a_cell_are_shown(cli: Cli, tenant: Tenant, cell: str) -> None:
    known = link(cell, "aws-us-west-2-c1", problems=("its stream is stuck",))
    lonely = await cli.run("cell", "links", cell)
    await ReplicationLinks(tenant.api.pool).publish_links(cell, [known])

    shown = await cli.run("cell", "links", cell)

    assert f"{cell} replicates with no other cell." in lonely.stderr
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith(cell)]
    assert "aws-us-west-2-c1" in row
    assert row.endswith("its stream is stuck")
