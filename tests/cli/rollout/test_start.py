import json
from pathlib import Path

import pytest

from rollout.policy import Lane, RollbackScope, Supersession
from tests.api.running import Tenant
from tests.cli.command import Cli
from tests.cli.rollout.releases import release, started

CELLS = ["synthetic-c0", "aws-us-east-1-c1", "aws-us-west-2-c1"]


async def test_a_plan_shows_who_is_touched_in_which_order_and_begins_nothing(
    cli: Cli, tenant: Tenant
) -> None:
    name = await release(cli)

    planned = await cli.run("rollout", "plan", name)

    assert planned.exit_code == 0, planned.stderr
    told = planned.stdout
    assert f"Release {name}" in told
    assert "3 cells to change" in told
    assert [cell for line in told.splitlines() for cell in CELLS if cell in line] == CELLS
    assert "1.31.2" in told
    assert not tenant.api.fleet.rollouts


async def test_a_plan_says_in_which_batches_and_with_which_bakes(cli: Cli, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rings: [{ring: 1, batches: [all], batch_bake: 90m, ring_bake: 2d}]")
    name = await release(cli)

    planned = await cli.run("rollout", "plan", name, "--policy", policy)

    [ring_1] = [line for line in planned.stdout.splitlines() if "1h30m" in line]
    assert ring_1.split()[:5] == ["1", "2", "1", "(2", "times)"]
    assert "1h30m each, 2d at the end" in ring_1


async def test_a_plan_is_json_for_programs(cli: Cli) -> None:
    name = await release(cli)

    planned = json.loads((await cli.run("rollout", "plan", name, "-o", "json")).stdout)

    assert [cell["cell"] for cell in planned["cells"]] == CELLS
    assert planned["cells"][0]["hops"] == ["1.31.2"]
    assert planned["problems"] == []


async def test_a_rollout_begins_with_what_the_options_say(
    cli: Cli, tenant: Tenant, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rollback: ring\nrings: [{ring: 0, ring_bake: 36h}]")

    rollout = await started(
        cli, "--policy", str(policy), "--emergency", "--supersede", "--id", "urgent-1"
    )

    asked = tenant.api.fleet.started[-1]
    assert rollout == asked.id == "urgent-1"
    assert (asked.actor, asked.reason) == (tenant.owner.email, "it is time")
    assert asked.lane is Lane.EMERGENCY
    assert asked.policy.supersession is Supersession.SUPERSEDE
    assert asked.policy.rollback is RollbackScope.RING
    assert asked.policy.rings[0].ring_bake.total_seconds() == 36 * 3600


async def test_the_plan_is_shown_before_anything_begins(cli: Cli, tenant: Tenant) -> None:
    name = await release(cli)

    asked = await cli.run("rollout", "start", name, "--reason", "it is time")

    assert asked.exit_code == 2
    assert "3 cells to change" in asked.stdout
    assert "Begin this rollout" in asked.stderr
    assert "confirm it with --yes" in asked.stderr
    assert not tenant.api.fleet.rollouts


async def test_a_rollout_begun_says_how_to_watch_it(cli: Cli) -> None:
    name = await release(cli)

    begun = await cli.run("rollout", "start", name, "--reason", "it is time", "-y")

    assert begun.exit_code == 0, begun.stderr
    assert f"Watch it with: controlplane rollout watch {name}" in begun.stderr


async def test_begun_again_under_its_id_it_is_begun_once(cli: Cli, tenant: Tenant) -> None:
    name = await release(cli)
    begin = ("rollout", "start", name, "--reason", "once", "-y", "--id", name, "-o", "json")

    first, second = await cli.run(*begin), await cli.run(*begin)

    assert json.loads(first.stdout)["id"] == json.loads(second.stdout)["id"] == name
    assert list(tenant.api.fleet.rollouts) == [name]


async def test_an_answer_that_was_lost_leaves_the_way_to_repeat_the_request(
    cli: Cli, tenant: Tenant
) -> None:
    name = await release(cli)
    begin = ("rollout", "start", name, "--reason", "once", "-y", "--id", name)
    tenant.api.fleet.reply_lost = True
    try:
        lost = await cli.run(*begin)
    finally:
        tenant.api.fleet.reply_lost = False
    again = await cli.run(*begin)

    assert lost.exit_code == 1
    assert f"Repeat it with --id {name}, and it is begun once" in lost.stderr
    assert again.exit_code == 0, again.stderr
    assert list(tenant.api.fleet.rollouts) == [name]


async def test_what_cannot_be_carried_out_is_not_begun(cli: Cli, tenant: Tenant) -> None:
    name = await release(cli, "1.34.0")  # Servers of 1.32 and 1.33 are not known.

    planned = await cli.run("rollout", "plan", name)
    begun = await cli.run("rollout", "start", name, "--reason", "it is time", "-y")

    for refused in (planned, begun):
        assert refused.exit_code == 1
        assert f"release {name} cannot be rolled out like this" in refused.stderr
        assert "1.32" in refused.stderr
    assert not tenant.api.fleet.rollouts


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--yes",), 2, "this needs a reason, which the audit log keeps: give --reason"),
        (("--yes", "--reason", " "), 2, "the reason is empty"),
        (("--reason", "now", "--policy", "/nowhere.yaml"), 2, "cannot read /nowhere.yaml"),
        (("--reason", "now", "--id", "No Id", "--yes"), 1, "'No Id' is not a rollout's id"),
    ],
)
async def test_what_is_wrong_with_a_start_is_said(
    cli: Cli, options: tuple[str, ...], code: int, says: str
) -> None:
    name = await release(cli)

    refused = await cli.run("rollout", "start", name, *options)

    assert refused.exit_code == code
    assert says in refused.stderr


async def test_a_release_that_is_not_there_is_named(cli: Cli) -> None:
    refused = await cli.run("rollout", "plan", "1.99.0")

    assert refused.exit_code == 1
    assert "release '1.99.0' not found" in refused.stderr
    assert "controlplane release list" in refused.stderr


async def test_a_simulation_says_how_long_it_takes(cli: Cli, tenant: Tenant) -> None:
    name = await release(cli)

    options = ("--runs", "3", "--seed", "7", "--failures", "2%", "--visit-takes", "25m")
    shown = await cli.run("rollout", "simulate", name, *options)
    plain = json.loads((await cli.run("rollout", "simulate", name, "-o", "json")).stdout)

    assert shown.exit_code == 0, shown.stderr
    assert "They took 30d (p50), 60d (p90)" in shown.stdout
    assert plain["cells"] == 3
    asked = tenant.api.fleet.simulated[-2]
    assert (asked.runs, asked.seed) == (3, 7)
    assert asked.assumptions.failure_share == 0.02
    assert asked.assumptions.visit_median.total_seconds() == 25 * 60


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--failures", "some"), "--failures is 'some': write a share such as 2%"),
        (("--sick", "101%"), "--sick is '101%': write a share such as 2%"),
        (("--visit-takes", "0"), "--visit-takes is 0: more than nothing, and 7d at most"),
        (("--visit-takes", "long"), "--visit-takes: 'long' is no length of time"),
    ],
)
async def test_what_cannot_be_assumed_is_named(
    cli: Cli, option: tuple[str, str], says: str
) -> None:
    refused = await cli.run("rollout", "simulate", "1.31.2", *option)

    assert refused.exit_code == 2
    assert says in refused.stderr


async def test_those_who_do_not_run_the_fleet_are_refused(cli: Cli, tenant: Tenant) -> None:
    stranger = await tenant.api.tenant()
    theirs = Cli({**cli.env, "CONTROLPLANE_API_KEY": stranger.token})

    refused = await theirs.run("rollout", "list")

    assert refused.exit_code == 1
    assert "this API key may not do that" in refused.stderr
