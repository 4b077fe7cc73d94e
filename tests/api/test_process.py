import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from temporalio.api.cloud.cloudservice.v1 import GetNamespaceRequest
from temporalio.client import CloudOperationsClient
from temporalio.service import RPCStatusCode

from controlplane.identity.accounts import ensure_first_account
from controlplane.local.ports import free_port
from controlplane.secrets.file import FileSecretStore, create_key
from controlplane.secrets.port import CONTROLPLANE_DATABASE, FLEET_CA
from controlplane.store.pool import open_pool_on
from controlplane.store.projections import Projections
from controlplane.store.schema import migrate
from provisioning.certificates.x509 import new_ca
from tests.api.running import create_request
from tests.api.test_namespaces import refused
from tests.postgres import RunningPostgres
from tests.store.views import cell_view, namespace_view

API = "from controlplane.api import main; main()"


@dataclass(frozen=True)
class ApiProcess:
    process: asyncio.subprocess.Process
    account: str
    token: str
    password: str
    address: str
    log: list[dict[str, object]] = field(default_factory=list)

    async def logged(self, message: str) -> None:
        """Read the log until a line says `message`."""
        async with asyncio.timeout(60):
            while not self.log or self.log[-1]["message"] != message:
                self.log.append(json.loads(await self._line()))

    async def _line(self) -> bytes:
        assert self.process.stderr is not None
        line = await self.process.stderr.readline()
        assert line, f"the API ended; it logged {self.log}"
        return line


@asynccontextmanager
async def api_process(postgres: RunningPostgres, folder: Path) -> AsyncIterator[ApiProcess]:
    """Run the API as its own process, with an engine that is not there."""
    database = await postgres.create_database()
    create_key(folder / "key")
    secrets = FileSecretStore(folder / "secrets", folder / "key")
    await secrets.put(CONTROLPLANE_DATABASE, database.password.encode())
    await secrets.put(FLEET_CA, new_ca("fleet", validity=timedelta(days=1)).to_pem())
    await migrate(database.conninfo)
    first = await ensure_first_account(
        database.conninfo, secrets, name="Acme", owner_email="olga@example.com"
    )
    assert first.token is not None
    pool = await open_pool_on(database.conninfo)
    await Projections(pool).publish_cell(cell_view())
    await Projections(pool).publish_namespace(namespace_view(f"standing.{first.account_id}"))
    await pool.close()
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", API),
        env={
            "PATH": os.environ["PATH"],
            "CONTROLPLANE_DATABASE_URL": database.url,
            "CONTROLPLANE_SECRETS_DIR": str(folder / "secrets"),
            "CONTROLPLANE_SECRETS_KEY_FILE": str(folder / "key"),
            "CONTROLPLANE_ZONE": "fleet.test",
            "CONTROLPLANE_DNS_SERVERS": "127.0.0.1:1",
            "CONTROLPLANE_REGIONS": "aws-us-east-1",
            "CONTROLPLANE_API_GRPC_LISTEN": address,
            "CONTROLPLANE_API_TLS_LISTEN": "127.0.0.1:0",
            "CONTROLPLANE_API_HTTP_LISTEN": "127.0.0.1:0",
            "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        },
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield ApiProcess(process, first.account_id, first.token, database.password, address)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_process_serves_without_an_engine_and_stops_in_peace(
    postgres: RunningPostgres, tmp_path: Path
) -> None:
    async with api_process(postgres, tmp_path) as api:
        await api.logged("serving")
        client = await CloudOperationsClient.connect(
            api_key=api.token, target_host=api.address, tls=False
        )

        read = await client.cloud_service.get_namespace(
            GetNamespaceRequest(namespace=f"standing.{api.account}")
        )
        told = await refused(
            client.cloud_service.create_namespace(create_request("orders")),
            RPCStatusCode.UNAVAILABLE,
        )
        api.process.terminate()
        await api.logged("stopping")

        assert read.namespace.namespace == f"standing.{api.account}"
        assert "the engine cannot be reached" in told
        async with asyncio.timeout(60):
            assert await api.process.wait() == 0


async def test_the_log_says_who_called_what_and_holds_no_secret(
    postgres: RunningPostgres, tmp_path: Path
) -> None:
    async with api_process(postgres, tmp_path) as api:
        await api.logged("serving")
        client = await CloudOperationsClient.connect(
            api_key=api.token, target_host=api.address, tls=False
        )
        await refused(
            client.cloud_service.get_namespace(GetNamespaceRequest(namespace="absent")),
            RPCStatusCode.NOT_FOUND,
        )
        await api.logged("GetNamespace")
        api.process.terminate()
        await api.logged("stopping")

        call = next(line for line in api.log if line["message"] == "GetNamespace")
        assert (call["account"], call["code"]) == (api.account, "NOT_FOUND")
        whole = json.dumps(api.log)
        assert api.token not in whole
        assert api.token.rpartition(".")[2] not in whole
        assert api.password not in whole
