import json
from dataclasses import replace

from controlplane.store.rollout_projections import RolloutProjections
from rollout.types import Outcome
from tests.api.running import Tenant
from tests.cli.command import Cli, running
from tests.cli.rollout.releases import started
from tests.store.views import CELL


async def end(tenant: Tenant, rollout: str, outcome: Outcome, message: str = "") -> None:
    """Let a rollout end and publish that."""
    view = replace(tenant.api.fleet.end(rollout, outcome), message=message)
    await RolloutProjections(tenant.api.pool).publish_rollout(view)


async def hold(tenant: Tenant, rollout: str) -> None:
    """Hold a cell, past the command: two of them in one process share its standard output."""
    asked = {"kind": "hold", "cell": CELL, "reason": "an audit"}
    async with tenant.http() as http:
        answer = await http.post(f"/fleet/v1/rollouts/{rollout}:control", json=asked)
        assert answer.is_success, answer.text


async def test_rollouts_are_listed_newest_first(cli: Cli) -> None:
    first = await started(cli)
    second = await started(cli)

    listed = await cli.run("rollout", "list")
    plain = json.loads((await cli.run("rollout", "list", "-o", "json")).stdout)

    rows = [line.split() for line in listed.stdout.splitlines()]
    assert [row[0] for row in rows if row and row[0] in (first, second)] == [second, first]
    assert [each["id"] for each in plain][:2] == [second, first]
    assert "0 of 3" in listed.stdout


async def test_the_status_is_that_of_the_rollout_that_runs(cli: Cli, tenant: Tenant) -> None:
    before = await started(cli)
    await end(tenant, before, Outcome.SUCCEEDED)
    now = await started(cli)

    shown = await cli.run("rollout", "status")
    named = await cli.run("rollout", "status", before)
    plain = json.loads((await cli.run("rollout", "status", "-o", "json")).stdout)

    assert f"Rollout {now}, server 1.31.2: forward" in shown.stdout
    assert "Ring 0  0 of 1 done" in shown.stdout
    assert f"Rollout {before}, server 1.31.2: succeeded" in named.stdout
    assert plain["id"] == now


async def test_when_none_runs_the_status_is_that_of_the_last_one(cli: Cli, tenant: Tenant) -> None:
    last = await started(cli)
    await end(tenant, last, Outcome.ABORTED)

    shown = await cli.run("rollout", "status")

    assert f"Rollout {last}, server 1.31.2: aborted" in shown.stdout


async def test_of_several_that_run_one_has_to_be_named(cli: Cli) -> None:
    first, second = await started(cli), await started(cli)

    shown = await cli.run("rollout", "status")

    assert shown.exit_code == 2
    assert "2 rollouts run: say which is meant" in shown.stderr
    assert first in shown.stderr
    assert second in shown.stderr


async def test_a_cell_says_why_it_does_not_have_the_release_yet(cli: Cli) -> None:
    rollout = await started(cli)

    told = await cli.run("rollout", "explain", CELL)
    plain = json.loads((await cli.run("rollout", "explain", CELL, rollout, "-o", "json")).stdout)

    assert told.exit_code == 0, told.stderr
    assert "ring 0 is not through" in told.stdout
    assert f"Rollout  {rollout}" in told.stdout
    assert plain["waits"][0]["code"] == "ring"


async def test_a_cell_that_a_rollout_does_not_know_is_named(cli: Cli) -> None:
    await started(cli)

    told = await cli.run("rollout", "explain", "nowhere-c1")

    assert told.exit_code == 1
    assert "'nowhere-c1'" in told.stderr


async def test_events_are_printed_oldest_first(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)
    await hold(tenant, rollout)

    told = await cli.run("rollout", "events")
    plain = json.loads((await cli.run("rollout", "events", rollout, "-o", "json")).stdout)

    assert [plain[0]["event"]["what"], plain[-1]["event"]["what"]] == ["started", "hold"]
    assert f"hold {CELL}: an audit ({tenant.owner.email})" in told.stdout.splitlines()[-1]


async def test_events_are_followed_until_the_rollout_ends(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)
    async with running(cli, "rollout", "events", "--follow", "-o", "json") as following:
        await hold(tenant, rollout)
        await end(tenant, rollout, Outcome.ABORTED)

    events = [json.loads(line)["event"]["what"] for line in following.result().stdout.splitlines()]
    assert following.result().exit_code == 0
    assert (events[0], events[-1]) == ("started", "hold")


async def test_watching_ends_with_the_rollout_and_says_what_became_of_it(
    cli: Cli, tenant: Tenant
) -> None:
    rollout = await started(cli)
    async with cli.started("rollout", "watch") as watching:
        await watching.said("started: release")
        await hold(tenant, rollout)
        await watching.said(f"hold {CELL}: an audit")
        await end(tenant, rollout, Outcome.SUCCEEDED)
        result = await watching.finished()

    assert result.exit_code == 0, result.stderr
    assert f"Rollout {rollout} succeeded: 3 waiting" in result.stdout


async def test_who_stops_watching_is_told_that_the_rollout_goes_on(cli: Cli) -> None:
    rollout = await started(cli)
    async with cli.started("rollout", "watch") as watching:
        await watching.said("started: release")
        watching.interrupt()
        result = await watching.finished()

    assert result.exit_code == 130
    assert f"controlplane rollout watch {rollout}" in result.stderr


async def test_a_rollout_that_failed_ends_its_watch_with_an_error(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)
    await end(tenant, rollout, Outcome.FAILED, f"{CELL} is broken")

    watched = await cli.run("rollout", "watch")

    assert watched.exit_code == 1
    assert f"rollout {rollout} failed: {CELL} is broken" in watched.stderr


async def test_programs_watch_a_rollout_line_by_line(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)
    async with running(cli, "rollout", "watch", "-o", "json") as watching:
        await hold(tenant, rollout)
        await end(tenant, rollout, Outcome.ABORTED)

    looks = [json.loads(line) for line in watching.result().stdout.splitlines()]
    assert watching.result().exit_code == 1
    assert looks[-1]["outcome"] == "aborted"
    revisions = [look["revision"] for look in looks]
    assert revisions == sorted(set(revisions))


async def test_nothing_to_watch_says_how_to_begin(cli: Cli) -> None:
    watched = await cli.run("rollout", "watch", "never-begun")

    assert watched.exit_code == 1
    assert "'never-begun' not found" in watched.stderr
