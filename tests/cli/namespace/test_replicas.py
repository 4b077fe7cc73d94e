"""Regions, failovers and migrations of a namespace, by command."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlplane.store.availability import AvailabilityProjections
from controlplane.store.projections import Projections
from controlplane.store.replication import ReplicationLinks
from provisioning.types import (
    FailoverMode,
    NamespaceState,
    OperationState,
    ReplicaChange,
    ReplicaChangeKind,
    ReplicaProgress,
)
from tests.api.running import Tenant
from tests.cli.command import Cli, Finished, running
from tests.cli.entity import settled
from tests.eventually import eventually
from tests.store.replica_views import availability_view, link
from tests.store.views import CELL, REGION

OTHER, OTHER_CELL = "aws-us-west-2", "aws-us-west-2-c1"
BECAUSE = ("--reason", "because")


def state(tenant: Tenant) -> NamespaceState:
    return tenant.api.writer.namespaces[f"orders.{tenant.account}"]


@pytest.fixture
async def orders(cli: Cli, tenant: Tenant, client_ca: Path) -> str:
    """A namespace with a replica in each of two regions."""
    creation = ("namespace", "create", "orders", "--region", REGION, "--ca-file", client_ca)
    made = await settled(cli, tenant, *creation, "--replica", OTHER)
    assert made.exit_code == 0, made.stderr
    return f"orders.{tenant.account}"


async def publish(tenant: Tenant, namespace: str) -> None:
    view = tenant.api.writer.published(namespace)
    await Projections(tenant.api.pool).publish_namespace(view)


async def change(
    tenant: Tenant, kind: ReplicaChangeKind, progress: ReplicaProgress, operation: str = ""
) -> None:
    """Let the entity publish how far a change of the replicas is."""
    namespace = state(tenant)
    namespace.wanted_changes = []
    asked = operation or namespace.operations[-1].id
    namespace.change = ReplicaChange(
        "7", kind, asked, CELL, OTHER_CELL, OTHER, datetime.now(UTC), progress
    )
    await publish(tenant, namespace.id)


async def test_a_namespace_shows_its_replicas_and_how_far_they_are_behind(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    await ReplicationLinks(tenant.api.pool).publish_links(OTHER_CELL, [link(OTHER_CELL, CELL)])

    shown = await cli.run("namespace", "get", orders)

    assert f"Region             {REGION} (replicas: {OTHER})" in shown.stdout
    assert "High availability  managed failover, polls forwarded" in shown.stdout
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert [REGION, CELL, "active", "-"] in rows
    (passive,) = [row for row in rows if row[:2] == [OTHER, OTHER_CELL]]
    assert passive[2:6] == ["passive", "1.50", "s", "at"]


async def test_high_availability_is_chosen_by_options(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    changed = await settled(
        cli,
        tenant,
        *("namespace", "update", orders, "--no-managed-failover", "--no-forward-polls"),
    )
    shown = await cli.run("namespace", "get", orders)

    assert changed.exit_code == 0, changed.stderr
    assert "highAvailability.disableManagedFailover: nothing → yes" in changed.stderr
    assert "High availability  asked for only, polls not forwarded" in shown.stdout


async def test_a_region_is_removed_and_added(cli: Cli, tenant: Tenant, orders: str) -> None:
    unsure = await cli.run("namespace", "region", "remove", orders, OTHER)
    removed = await settled(cli, tenant, "namespace", "region", "remove", orders, OTHER, "--yes")
    alone = await cli.run("namespace", "get", orders)
    added = await settled(cli, tenant, "namespace", "region", "add", orders, OTHER)

    assert unsure.exit_code == 2
    assert f"Remove the replica of namespace {orders} in {OTHER}?" in unsure.stderr
    assert removed.exit_code == 0, removed.stderr
    assert f"Removing a region of {orders}" in removed.stderr
    assert f"Region             {REGION}\n" in alone.stdout
    assert added.exit_code == 0, added.stderr
    assert f"Adding a region to {orders}" in added.stderr
    assert "passive" in added.stdout


async def test_a_second_replica_in_the_same_region_is_added_by_the_same_command(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    await settled(cli, tenant, "namespace", "region", "remove", orders, OTHER, "--yes")

    added = await settled(cli, tenant, "namespace", "region", "add", orders, REGION)

    assert added.exit_code == 0, added.stderr
    spec = state(tenant).spec
    assert spec is not None
    assert spec.replicas == (REGION, REGION)


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ((), FailoverMode.GRACEFUL_THEN_FORCED),
        (("--graceful",), FailoverMode.GRACEFUL),
        (("--forced", "--yes"), FailoverMode.FORCED),
    ],
    ids=["either", "graceful", "forced"],
)
async def test_a_failover_is_asked_for_by_its_mode(
    cli: Cli, tenant: Tenant, orders: str, options: tuple[str, ...], mode: FailoverMode
) -> None:
    asked = ("namespace", "failover", orders, "--region", OTHER, "--no-wait", *options)

    begun = await cli.run(*asked, "-o", "json")

    assert begun.exit_code == 0, begun.stderr
    assert json.loads(begun.stdout)["kind"] == "FailoverNamespaceRegion"
    (wanted,) = state(tenant).wanted_changes
    assert (wanted.mode, wanted.target) == (mode, OTHER_CELL)


async def test_a_failover_is_followed_phase_by_phase_to_its_end(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    kind = ReplicaChangeKind.FAILOVER
    async with cli.started("namespace", "failover", orders, "--region", OTHER) as command:
        await command.said(f"Failing over {orders}")
        await change(tenant, kind, ReplicaProgress("compare", "looks at both", done=3, of=12))
        await command.said("… Compare both sides: looks at both, 3 of 12")
        await change(tenant, kind, ReplicaProgress("hand over"))
        await command.said("✓ Compare both sides")
        state(tenant).wanted_changes = [under_way(tenant)]
        state(tenant).change = None
        await tenant.api.settle(orders)
        told = await command.finished()

    assert told.exit_code == 0, told.stderr
    assert "✓ Hand over" in told.stderr
    assert f"{orders} is active in {OTHER} (cell {OTHER_CELL})." in told.stdout


def under_way(tenant: Tenant) -> ReplicaChange:
    present = state(tenant).change
    assert present is not None
    return present


async def asked(tenant: Tenant, operations: int) -> None:
    async def is_asked() -> bool:
        return len(state(tenant).operations) >= operations

    await eventually(is_asked, within=60)


async def test_where_to_and_how_is_said_in_one_way(cli: Cli, orders: str) -> None:
    nowhere = await cli.run("namespace", "failover", orders)
    both = await cli.run("namespace", "failover", orders, "--region", OTHER, "--cell", OTHER_CELL)
    modes = await cli.run(
        "namespace", "failover", orders, "--region", OTHER, "--forced", "--graceful"
    )
    unsure = await cli.run("namespace", "failover", orders, "--region", OTHER, "--forced")

    assert {nowhere.exit_code, both.exit_code, modes.exit_code, unsure.exit_code} == {2}
    assert "Give --region, or --cell" in nowhere.stderr
    assert "exclude each other" in modes.stderr
    assert "may be lost" in unsure.stderr


async def test_a_migration_begins_waits_for_its_person_and_is_confirmed(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    start = ("namespace", "migrate", "start", orders, "--soak", "1h", *BECAUSE)
    async with running(cli, *start) as command:
        await asked(tenant, 2)
        (wanted,) = state(tenant).wanted_changes
        soaking = ReplicaProgress("soak", waits_for="say that the former cell may go")
        await change(tenant, ReplicaChangeKind.MIGRATE, soaking)
    begun = command.result()
    listed = await cli.run("namespace", "migrate", "list")
    unsure = await cli.run("namespace", "migrate", "confirm", orders, *BECAUSE)
    confirmed = await cli.run(
        *("namespace", "migrate", "confirm", orders, *BECAUSE, "--yes", "--no-wait")
    )

    assert (wanted.soak.total_seconds(), wanted.reason) == (3600, "because")
    assert begun.exit_code == 0, begun.stderr
    assert "It waits for you: say that the former cell may go." in begun.stderr
    assert f"controlplane namespace migrate confirm {orders}" in begun.stderr
    (row,) = [line for line in listed.stdout.splitlines() if line.startswith(orders)]
    assert "soak" in row
    assert f"Give up {CELL}, from which {orders} moves?" in unsure.stderr
    assert confirmed.exit_code == 0, confirmed.stderr
    assert under_way(tenant).confirmed


async def test_a_migration_is_aborted_and_watched_until_it_is_undone(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    await change(tenant, ReplicaChangeKind.MIGRATE, ReplicaProgress("copy", done=1, of=9))

    abort = ("namespace", "migrate", "abort", orders, *BECAUSE, "--yes")
    async with cli.started(*abort) as command:
        await command.said("… Copy workflow executions: 1 of 9")
        assert under_way(tenant).aborted
        await change(tenant, ReplicaChangeKind.MIGRATE, ReplicaProgress("undo"))
        await command.said("… Undo everything")
        state(tenant).change = None
        await publish(tenant, orders)
        undone = await command.finished()

    assert undone.exit_code == 0, undone.stderr
    assert "active" in undone.stdout


async def test_what_is_not_migrated_is_neither_confirmed_nor_aborted(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    nothing = await cli.run("namespace", "migrate", "confirm", orders, *BECAUSE, "--yes")
    shown = await cli.run("namespace", "migrate", "get", orders)
    await change(tenant, ReplicaChangeKind.ADD, ReplicaProgress("copy"))
    other = await cli.run("namespace", "migrate", "abort", orders, *BECAUSE, "--yes")

    assert (nothing.exit_code, other.exit_code) == (1, 1)
    assert f"{orders} is not being migrated" in nothing.stderr
    assert f"{orders} is not being migrated." in shown.stderr
    assert f"is not being migrated: add 7 ({CELL} → {OTHER_CELL})" in other.stderr


async def test_what_is_done_to_the_replicas_is_undone_by_its_tenant(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    nothing = await cli.run("namespace", "region", "abort", orders, *BECAUSE, "--yes")
    await change(tenant, ReplicaChangeKind.ADD, ReplicaProgress("copy"))
    aborted = await cli.run("namespace", "region", "abort", orders, *BECAUSE, "--yes", "--no-wait")

    assert "nothing is being done to the replicas" in nothing.stderr
    assert aborted.exit_code == 0, aborted.stderr
    assert under_way(tenant).aborted


async def test_explain_says_why_it_was_not_failed_over(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    decided = availability_view(revision=2_000)
    mine = replace(decided.namespaces[1], namespace=orders, reason="its target has no room")
    await AvailabilityProjections(tenant.api.pool).publish_availability(
        replace(decided, namespaces=(mine,))
    )

    told = await cli.run("namespace", "explain", orders)
    plain = json.loads((await cli.run("namespace", "explain", orders, "-o", "json")).stdout)

    assert "By the latest round it stays: its target has no room." in told.stdout
    assert plain["id"] == orders
    assert plain["replicas"]["active_region"] == REGION


async def test_an_operation_that_failed_says_why(cli: Cli, tenant: Tenant, orders: str) -> None:
    async with running(cli, "namespace", "failover", orders, "--region", OTHER) as command:
        await asked(tenant, 2)
        failed = tenant.api.writer.fail(orders, "the handover was not done within 10 s")
        await Projections(tenant.api.pool).publish_namespace(failed)
    told: Finished = command.result()

    assert told.exit_code == 1
    assert f"failing over {orders} ended {OperationState.FAILED}" in told.stderr
    assert "the handover was not done within 10 s" in told.stderr
