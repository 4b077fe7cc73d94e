import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.cloud.cloudservice.v1 import GetNamespaceRequest, UpdateNamespaceRequest

from provisioning.certificates.x509 import CertificateAndKey, new_ca
from provisioning.types import NamespaceState, SearchAttributeType
from tests.api.running import CLIENT_CA, Tenant
from tests.cli.command import Cli
from tests.cli.entity import settled

NEXT_CA = new_ca("next", validity=timedelta(days=30))


@pytest.fixture(autouse=True)
async def orders(tenant: Tenant) -> str:
    namespace = await tenant.create("orders")
    await tenant.api.settle(namespace)
    return namespace


def state(tenant: Tenant) -> NamespaceState:
    return tenant.api.writer.namespaces[f"orders.{tenant.account}"]


def kept(tmp_path: Path, ca: CertificateAndKey) -> Path:
    file = tmp_path / "next-ca.pem"
    file.write_bytes(ca.certificate_pem)
    return file


async def test_what_is_asked_for_changes_and_the_rest_stays(cli: Cli, tenant: Tenant) -> None:
    before = state(tenant).spec
    assert before is not None

    result = await settled(
        cli,
        tenant,
        *("namespace", "update", "orders", "--retention-days", "60", "--delete-protection"),
        *("--search-attribute", "Customer=KEYWORD"),
    )

    assert result.exit_code == 0, result.stderr
    assert "retentionDays: 7 → 60" in result.stderr
    assert state(tenant).spec == replace(
        before,
        retention=timedelta(days=60),
        delete_protection=True,
        search_attributes={"Customer": SearchAttributeType.KEYWORD},
    )


async def test_an_update_to_what_is_so_already_sends_nothing(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    asked = list(tenant.api.writer.asked)

    result = await cli.run("namespace", "update", "orders", "--retention-days", "7")

    assert result.exit_code == 0
    assert f"Nothing to change: {orders} is so already" in result.stderr
    assert tenant.api.writer.asked == asked


async def test_a_namespace_changed_meanwhile_is_read_again_and_both_changes_hold(
    cli: Cli, tenant: Tenant, orders: str
) -> None:
    async def somebody_else_updates() -> None:
        service = tenant.cloud.cloud_service
        read = await service.get_namespace(GetNamespaceRequest(namespace=orders))
        read.namespace.spec.lifecycle.enable_delete_protection = True
        await service.update_namespace(
            UpdateNamespaceRequest(
                namespace=orders,
                spec=read.namespace.spec,
                resource_version=read.namespace.resource_version,
            )
        )

    tenant.api.writer.in_between = somebody_else_updates
    change = ("namespace", "update", "orders", "--retention-days", "60")
    result = await settled(cli, tenant, *change, operations=2)

    assert result.exit_code == 0, result.stderr
    assert f"{orders} was changed meanwhile, and is now at version" in result.stderr
    spec = state(tenant).spec
    assert spec is not None
    assert (spec.retention, spec.delete_protection) == (timedelta(days=60), True)


async def test_authorities_overlap_while_they_are_exchanged(
    cli: Cli, tenant: Tenant, tmp_path: Path
) -> None:
    def trusted() -> int:
        spec = state(tenant).spec
        assert spec is not None
        return spec.client_ca.count("BEGIN CERTIFICATE")

    next_ca = kept(tmp_path, NEXT_CA)
    added = await settled(cli, tenant, "namespace", "update", "orders", "--add-ca", next_ca)
    assert added.exit_code == 0, added.stderr
    assert trusted() == 2

    old_ca = tmp_path / "old-ca.pem"
    old_ca.write_bytes(CLIENT_CA)
    removed = await settled(cli, tenant, "namespace", "update", "orders", "--remove-ca", old_ca)
    assert removed.exit_code == 0, removed.stderr
    assert trusted() == 1

    shown = await cli.run("namespace", "ca", "show", "orders")
    assert shown.stdout == NEXT_CA.certificate_pem.decode()


async def test_the_last_authority_is_not_removed_by_mistake(cli: Cli, client_ca: Path) -> None:
    result = await cli.run("namespace", "update", "orders", "--remove-ca", client_ca)

    assert result.exit_code == 2
    assert "leaves no CA to trust" in result.stderr


async def test_the_way_in_is_exchanged_for_api_keys(cli: Cli, tenant: Tenant) -> None:
    result = await settled(cli, tenant, "namespace", "update", "orders", "--no-mtls", "--api-keys")

    assert result.exit_code == 0, result.stderr
    connection = await cli.run("namespace", "connect", "orders", "-o", "env")
    assert 'export TEMPORAL_API_KEY="${CONTROLPLANE_API_KEY:?' in connection.stdout
    assert tenant.token not in connection.stdout
    assert "TLS_CLIENT" not in connection.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "what is to change?"),
        (("--managed-ca", "--remove-ca", "x"), "give it alone"),
        (("--no-mtls", "--managed-ca"), "leave out the CAs"),
        (("--no-codec", "--codec-endpoint", "https://codec"), "leave out the other"),
    ],
)
async def test_options_that_contradict_each_other_are_refused(
    cli: Cli, options: tuple[str, ...], says: str
) -> None:
    result = await cli.run("namespace", "update", "orders", *options)

    assert result.exit_code == 2
    assert says in result.stderr


async def test_a_search_attribute_is_renamed(cli: Cli, tenant: Tenant) -> None:
    await settled(
        cli, tenant, "namespace", "update", "orders", "--search-attribute", "Customer=KEYWORD"
    )

    result = await settled(
        cli, tenant, "namespace", "search-attribute", "rename", "orders", "Customer", "Client"
    )

    assert result.exit_code == 0, result.stderr
    shown = await cli.run("namespace", "get", "orders")
    assert "Search attributes  Client\n" in shown.stdout


async def test_tags_are_set_and_removed_one_by_one(cli: Cli, tenant: Tenant) -> None:
    tags = ("namespace", "tags")
    await settled(cli, tenant, *tags, "set", "orders", "team=payments", "stage=prod")
    removed = await settled(cli, tenant, *tags, "remove", "orders", "stage", "never-there")

    assert removed.exit_code == 0, removed.stderr
    listed = await cli.run(*tags, "list", "orders", "-o", "json")
    assert json.loads(listed.stdout) == {"team": "payments"}
    assert "'team'" in (await cli.run(*tags, "set", "orders", "team")).stderr


async def test_a_request_limit_is_set_shown_and_lifted(cli: Cli, tenant: Tenant) -> None:
    assert (await cli.run("namespace", "limit", "orders")).stdout == "no limit\n"

    limited = await settled(cli, tenant, "namespace", "limit", "orders", "200")
    assert limited.exit_code == 0, limited.stderr
    assert (await cli.run("namespace", "limit", "orders")).stdout == "200 requests a second\n"

    await settled(cli, tenant, "namespace", "limit", "orders", "0")
    lifted = await cli.run("namespace", "limit", "orders", "-o", "json")
    assert json.loads(lifted.stdout) == {"requests_per_second": 0}
