"""What a person tells a running rollout, as it arrives there."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from controlplane.identity.types import Role
from controlplane.store.rollouts import Rollouts
from rollout.types import RolloutState
from tests.api.colleagues import colleague
from tests.api.running import Tenant
from tests.cli.command import Cli, Finished
from tests.cli.rollout.releases import started
from tests.store.views import CELL

BECAUSE = ("--reason", "because")


async def tell(cli: Cli, *arguments: str) -> Finished:
    told = await cli.run("rollout", *arguments, *BECAUSE)
    assert told.exit_code == 0, told.stderr
    return told


def state(tenant: Tenant, rollout: str) -> RolloutState:
    return tenant.api.fleet.rollouts[rollout]


async def test_a_rollout_is_paused_and_goes_on_again(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)

    paused = await tell(cli, "pause")
    assert state(tenant, rollout).paused_by == f"{tenant.owner.email}: because"
    resumed = await tell(cli, "resume", "-o", "json")

    assert f"Rollout {rollout}: forward, paused" in paused.stdout
    assert "controlplane rollout resume" in paused.stderr
    assert json.loads(resumed.stdout)["paused_by"] == ""
    assert not state(tenant, rollout).paused_by


async def test_one_of_several_rollouts_is_told_by_its_id(cli: Cli, tenant: Tenant) -> None:
    first, second = await started(cli), await started(cli)

    ambiguous = await cli.run("rollout", "pause", *BECAUSE)
    await tell(cli, "pause", "--rollout", second)

    assert ambiguous.exit_code == 2
    assert not state(tenant, first).paused_by
    assert state(tenant, second).paused_by


async def test_a_rollout_is_aborted_leaving_what_is_done_unless_said(
    cli: Cli, tenant: Tenant
) -> None:
    rollout = await started(cli)

    unsure = await cli.run("rollout", "abort", *BECAUSE)
    told = await tell(cli, "abort", "--yes", "-o", "json")

    assert unsure.exit_code == 2
    assert f"Abort rollout {rollout}, leaving what is done?" in unsure.stderr
    assert json.loads(told.stdout)["message"] == f"aborted by {tenant.owner.email}: because"


async def test_aborting_can_roll_back(cli: Cli) -> None:
    await started(cli)

    unsure = await cli.run("rollout", "abort", "--roll-back", "all", *BECAUSE)
    told = await tell(cli, "abort", "--roll-back", "ring", "--yes", "-o", "json")

    assert "rolling back every cell that has it?" in unsure.stderr
    assert json.loads(told.stdout)["phase"] == "rolling back"


async def test_a_scope_in_which_nothing_has_the_release_is_refused_with_the_reason(
    cli: Cli,
) -> None:
    await started(cli)

    refused = await cli.run("rollout", "rollback", "--scope", "ring", "--yes", *BECAUSE)

    assert refused.exit_code == 1
    assert "no cell of this ring has the release" in refused.stderr


@pytest.mark.parametrize("options", [("--scope", "cell"), ("--scope", "ring", "--cell", CELL)])
async def test_which_cell_goes_back_is_said_when_it_is_one(
    cli: Cli, options: tuple[str, ...]
) -> None:
    refused = await cli.run("rollout", "rollback", *options, "--yes", *BECAUSE)

    assert refused.exit_code == 2
    assert "--scope cell and --cell go together" in refused.stderr


async def test_a_cell_is_skipped(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)

    await tell(cli, "skip", CELL)

    assert state(tenant, rollout).cells[CELL].status == "skipped"


async def test_there_is_nothing_to_retry_before_anything_failed(cli: Cli) -> None:
    await started(cli)

    every = await cli.run("rollout", "retry", *BECAUSE)
    one = await cli.run("rollout", "retry", CELL, *BECAUSE)

    assert (every.exit_code, one.exit_code) == (1, 1)
    assert "there is nothing to retry" in every.stderr
    assert f"{CELL} is waiting: there is nothing to retry" in one.stderr


async def test_a_cell_is_held_until_then_and_let_go(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)
    now = datetime.now(UTC)

    await tell(cli, "hold", CELL, "--until", "3d")
    held = state(tenant, rollout).holds[CELL]
    await tell(cli, "unhold", CELL)
    await tell(cli, "hold", "synthetic-c0")

    assert held.until is not None
    assert timedelta(days=3) <= held.until - now < timedelta(days=3, minutes=10)
    assert list(state(tenant, rollout).holds) == ["synthetic-c0"]
    assert state(tenant, rollout).holds["synthetic-c0"].until is None


async def test_a_gate_is_answered_for_with_an_end(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)

    unsure = await cli.run("rollout", "complete-gate", "canary", "--until", "4h", *BECAUSE)
    await tell(cli, "complete-gate", "canary", "--until", "4h", "--yes")
    unknown = await cli.run("rollout", "complete-gate", "vibes", "--until", "4h", "-y", *BECAUSE)

    assert unsure.exit_code == 2
    assert list(state(tenant, rollout).overrides) == ["canary"]
    assert "there is no gate 'vibes': it is one of health, canary" in unknown.stderr


@pytest.mark.parametrize("until", ["soon", "2020-01-01", "-1h"])
async def test_a_time_that_cannot_be_is_named_before_anything_is_asked(
    cli: Cli, until: str
) -> None:
    refused = await cli.run("rollout", "hold", CELL, f"--until={until}", *BECAUSE)

    assert refused.exit_code == 2
    assert f"--until: {until!r}" in refused.stderr


async def test_who_approves_sees_the_plan_first(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)
    view = await Rollouts(tenant.api.pool).get(rollout)
    assert view is not None

    unsure = await cli.run("rollout", "approve", *BECAUSE)

    assert unsure.exit_code == 2
    assert f"Plan {view.plan_hash}" in unsure.stdout
    assert f"Evidence {view.evidence_digest}: nothing speaks against it" in unsure.stdout
    assert "Approved by: nobody yet" in unsure.stdout
    assert CELL in unsure.stdout
    assert "Approve this plan?" in unsure.stderr


async def test_an_approval_is_bound_to_the_plan_that_was_seen(
    cli: Cli, tenant: Tenant, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rings: [{ring: 1, approvals: 1}]")
    rollout = await started(cli, "--policy", str(policy))
    other = await colleague(tenant, Role.ADMIN)
    theirs = Cli({**cli.env, "CONTROLPLANE_API_KEY": other.token})

    own = await cli.run("rollout", "approve", "--yes", *BECAUSE)
    await tell(theirs, "approve", "--ring", "1", "--yes")
    plan = await theirs.run("rollout", "approve", *BECAUSE)

    assert own.exit_code == 1
    assert "started this rollout: somebody else has to approve it" in own.stderr
    [approval] = state(tenant, rollout).rings[1].approvals
    assert approval.plan == state(tenant, rollout).plan_hash
    assert approval.evidence is not None
    assert f"Approved by: {approval.actor} at" in plan.stdout


async def test_an_approval_that_is_not_needed_is_refused_with_the_reason(cli: Cli) -> None:
    await started(cli)

    refused = await cli.run("rollout", "approve", "--yes", *BECAUSE)

    assert refused.exit_code == 1
    assert "ring 1 needs no approval" in refused.stderr


async def test_a_wish_with_a_name_is_done_once(cli: Cli, tenant: Tenant) -> None:
    rollout = await started(cli)
    wish = ("--request-id", str(uuid4()))

    for _ in range(2):
        await tell(cli, "hold", CELL, *wish)

    assert [event.what for event in state(tenant, rollout).events].count("hold") == 1


async def test_an_answer_that_was_lost_names_the_wish_to_repeat(cli: Cli, tenant: Tenant) -> None:
    await started(cli)
    tenant.api.fleet.reply_lost = True
    try:
        lost = await cli.run("rollout", "pause", "--request-id", "lunch", *BECAUSE)
    finally:
        tenant.api.fleet.reply_lost = False
    again = await cli.run("rollout", "pause", "--request-id", "lunch", *BECAUSE)

    assert lost.exit_code == 1
    assert "Repeat it with --request-id lunch, and it is done once" in lost.stderr
    assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause",),
        ("resume",),
        ("abort", "--yes"),
        ("rollback", "--scope", "all", "--yes"),
        ("skip", CELL),
        ("retry",),
        ("approve", "--yes"),
        ("hold", CELL),
        ("unhold", CELL),
        ("complete-gate", "canary", "--until", "1h", "--yes"),
    ],
    ids=lambda arguments: arguments[0],
)
async def test_without_a_reason_nothing_is_asked_for(cli: Cli, arguments: tuple[str, ...]) -> None:
    refused = await cli.run("rollout", *arguments)

    assert refused.exit_code == 2
    assert "this needs a reason, which the audit log keeps: give --reason" in refused.stderr


async def test_with_no_rollout_under_way_there_is_nobody_to_tell(cli: Cli) -> None:
    refused = await cli.run("rollout", "pause", *BECAUSE)

    assert refused.exit_code == 1
    assert "no rollout runs" in refused.stderr
