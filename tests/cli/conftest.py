from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.running import CLIENT_CA, RunningApi, Tenant, running_api
from tests.cli.command import Cli
from tests.postgres import RunningPostgres


@pytest.fixture(scope="session")
async def api(postgres: RunningPostgres) -> AsyncIterator[RunningApi]:
    """One API for all tests: each has an account of its own."""
    async with running_api(postgres) as api:
        yield api


@pytest.fixture
async def tenant(api: RunningApi) -> Tenant:
    return await api.tenant(operator=True)


@pytest.fixture
def cli(tenant: Tenant, tmp_path: Path) -> Cli:
    """The command, pointed at the API with the tenant's key."""
    ports = tenant.api.ports
    ca_file = tmp_path / "fleet-ca.pem"
    ca_file.write_bytes(tenant.api.ca.certificate_pem)
    return Cli(
        {
            "CONTROLPLANE_ADDRESS": f"127.0.0.1:{ports.grpc}",
            "CONTROLPLANE_URL": f"http://127.0.0.1:{ports.http}",
            "CONTROLPLANE_API_KEY": tenant.token,
            "CONTROLPLANE_CA_FILE": str(ca_file),
        }
    )


@pytest.fixture
def client_ca(tmp_path: Path) -> Path:
    """The file of a CA that may sign a namespace's clients."""
    file = tmp_path / "client-ca.pem"
    file.write_bytes(CLIENT_CA)
    return file
