import json
from datetime import UTC, datetime

import pytest

from provisioning.types import Difference, Inspection, Step
from tests.api.running import Tenant
from tests.cli.command import Cli
from tests.cli.entity import settled

DRIFTED = Difference(Step.PUBLISH_DNS, "target of orders.fleet.test", "c1.fleet.test", "")


@pytest.fixture
async def orders(tenant: Tenant) -> str:
    namespace = await tenant.create("orders")
    await tenant.api.settle(namespace)
    return namespace


def found(tenant: Tenant, namespace: str, *differences: Difference) -> None:
    """Let the next look at the world find these."""
    state = tenant.api.writer.namespaces[namespace]
    state.inspection = Inspection(datetime.now(UTC), differences)


async def test_a_namespace_as_it_was_made_is_success(cli: Cli, tenant: Tenant, orders: str) -> None:
    found(tenant, orders)

    result = await settled(cli, tenant, "namespace", "diff", "orders")

    assert result.exit_code == 0, result.stderr
    assert f"{orders} is as it was made" in result.stdout
    assert f"Inspecting namespace {orders}" in result.stderr


async def test_what_differs_is_shown_part_by_part_with_an_exit_code_of_its_own(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    found(tenant, orders, DRIFTED)

    people = await settled(cli, tenant, "namespace", "diff", "orders")
    programs = await settled(cli, tenant, "namespace", "diff", "orders", "-o", "json")

    assert (people.exit_code, programs.exit_code) == (2, 2)
    row = people.stdout.splitlines()[-1]
    assert row.split() == [Step.PUBLISH_DNS, *DRIFTED.what.split(), "c1.fleet.test", "-"]
    [difference] = json.loads(programs.stdout)["differences"]
    assert difference["wanted"] == "c1.fleet.test"


async def test_what_was_asked_of_a_namespace_is_listed(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    found(tenant, orders)
    await settled(cli, tenant, "namespace", "diff", "orders", "--operation-id", "look-1")

    listed = await cli.run("operation", "list", "orders")
    got = await cli.run("operation", "get", "look-1")

    assert [line.split()[1:3] for line in listed.stdout.splitlines()[2:]] == [
        ["CreateNamespace", "FULFILLED"],
        ["InspectNamespace", "FULFILLED"],
    ]
    assert "What       InspectNamespace\nState      FULFILLED\n" in got.stdout
