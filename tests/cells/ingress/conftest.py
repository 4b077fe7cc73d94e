from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from cells.ingress.records import AdmissionRules
from tests.cells.ingress import processes
from tests.cells.ingress.api_keys import Signer, key_row, know_keys, know_signers
from tests.cells.ingress.small_cell import SmallCell, Tenant, new_tenant, small_cell
from tests.postgres import RunningPostgres

ORDERS, PAY = "orders.acme1", "pay.globex"


@pytest.fixture(scope="session")
async def frontend(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The frontend of a real Temporal server with two tenants' namespaces."""
    folder = tmp_path_factory.mktemp("temporal")
    async with processes.temporal_server(folder, [ORDERS, PAY]) as address:
        yield address


@pytest.fixture(scope="session")
async def cell(
    postgres: RunningPostgres, frontend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SmallCell]:
    async with small_cell(postgres, tmp_path_factory.mktemp("cell"), frontend) as running:
        yield running


@pytest.fixture(scope="session")
async def orders(cell: SmallCell) -> Tenant:
    """A tenant whose namespace is admitted."""
    tenant = new_tenant(ORDERS)
    await cell.enforce(cell.record(tenant))
    return tenant


@pytest.fixture(scope="session")
async def pay(cell: SmallCell) -> Tenant:
    """Another tenant, of another account, in the same cell."""
    tenant = new_tenant(PAY)
    await cell.enforce(cell.record(tenant))
    return tenant


@pytest.fixture(scope="module", params=["certificate", "api_key"])
async def either(
    request: pytest.FixtureRequest, cell: SmallCell, orders: Tenant
) -> AsyncIterator[Tenant]:
    """The tenant ORDERS: once with its certificate, and once with an API key."""
    if request.param == "certificate":
        yield orders
        return
    signer, before = Signer(), cell.record(orders)
    rules = AdmissionRules(client_ca=orders.authority.pem, api_keys=True)
    await know_signers(cell, signer)
    await know_keys(cell, "acme1", key_row("orders-key", everywhere=True))
    await cell.enforce(cell.record(orders, rules=rules))
    yield replace(orders, token=signer.token("orders-key", "acme1"))
    await know_keys(cell, "acme1")
    await cell.enforce(before)
