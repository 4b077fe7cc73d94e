"""A whole API on free ports: real listeners and a real database, entities in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import grpc
import httpx
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import CreateNamespaceRequest
from temporalio.api.cloud.namespace.v1 import MtlsAuthSpec, NamespaceSpec, ReplicaSpec
from temporalio.client import CloudOperationsClient

from controlplane.api.calls import SERVICE
from controlplane.api.certificate import ApiCertificate
from controlplane.api.server import Listening, serving
from controlplane.identity.distribution import KeyDistribution
from controlplane.identity.keys import ApiKeys
from controlplane.identity.limits import raise_limits
from controlplane.identity.memory import MemoryCellKeys
from controlplane.identity.signing_keys import ensure_signer
from controlplane.local.account import LIMITS
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import FLEET_CA
from controlplane.settings import ApiSettings
from controlplane.store.inventory import StoredInventory
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel
from provisioning.certificates.x509 import CertificateAndKey, new_ca
from provisioning.types import NamespaceView
from tests.api.fleet_writer import MemoryFleetWriter
from tests.api.writer import MemoryWriter
from tests.identity.cells import distribution_to, running
from tests.identity.people import Owner, new_owner
from tests.postgres import RunningPostgres
from tests.store.databases import migrated_pool
from tests.store.views import CELL, REGION, cell_view

ZONE = "fleet.test"
Metadata = tuple[tuple[str, str], ...]
CLIENT_CA = new_ca("clients", validity=timedelta(days=30)).certificate_pem


@dataclass(frozen=True)
class RunningApi:
    pool: Pool
    keys: ApiKeys
    writer: MemoryWriter
    fleet: MemoryFleetWriter
    ca: CertificateAndKey
    ports: Listening
    secrets: MemorySecretStore
    distribution: KeyDistribution
    """Runs, as it does in a worker."""
    cells: MemoryCellKeys
    """What the cells know of API keys."""

    @property
    def reads(self) -> ReadModel:
        return ReadModel(self.pool)

    async def tenant(self, *, operator: bool = False) -> "Tenant":
        """Return a new account's owner, connected; it has limits that are in nobody's way.

        With `operator`, the account is one of the fleet's operators.
        """
        owner = await new_owner(self.keys, operator=operator)
        async with self.pool.connection() as connection:
            await raise_limits(connection, owner.account, LIMITS)
        token = (await owner.key()).token
        return Tenant(self, owner, token, await self.connect(token))

    async def connect(self, token: str) -> CloudOperationsClient:
        return await CloudOperationsClient.connect(
            api_key=token, target_host=f"127.0.0.1:{self.ports.grpc}", tls=False
        )

    async def call(self, method: str, request: Message, metadata: Metadata = ()) -> bytes:
        """Call a gRPC method by its full name and return the response as it came."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.ports.grpc}") as channel:
            called = channel.unary_unary(method, _serialize, bytes)
            return await called(request, metadata=metadata)

    async def settle(self, namespace: str) -> NamespaceView:
        """Let the entity finish what was asked of it last, and publish that."""
        view = self.writer.settle(namespace, CELL)
        await Projections(self.pool).publish_namespace(view)
        return view


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


@dataclass(frozen=True)
class Tenant:
    api: RunningApi
    owner: Owner
    token: str = field(repr=False)
    cloud: CloudOperationsClient

    @property
    def account(self) -> str:
        return self.owner.account

    async def create(self, name: str) -> str:
        """Ask for a namespace and return its id."""
        created = await self.cloud.cloud_service.create_namespace(create_request(name))
        return created.namespace

    async def call(self, rpc: str, request: Message) -> bytes:
        """Call an RPC of the CloudService past the SDK, which drops fields that it doesn't know."""
        return await self.api.call(f"/{SERVICE.full_name}/{rpc}", request, bearer(self.token))

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.api.ports.http}",
            headers={"authorization": f"Bearer {self.token}"},
            trust_env=False,
        ) as client:
            yield client


def declared(name: str) -> NamespaceSpec:
    """Return a spec that is accepted."""
    return NamespaceSpec(
        name=name,
        replicas=[ReplicaSpec(region=REGION)],
        retention_days=7,
        mtls_auth=MtlsAuthSpec(enabled=True, accepted_client_ca=CLIENT_CA),
    )


def create_request(name: str, operation: str = "") -> CreateNamespaceRequest:
    return CreateNamespaceRequest(spec=declared(name), async_operation_id=operation)


@asynccontextmanager
async def running_api(postgres: RunningPostgres) -> AsyncIterator[RunningApi]:
    secrets = MemorySecretStore()
    ca = new_ca("fleet", validity=timedelta(days=365))
    await secrets.put(FLEET_CA, ca.to_pem())
    async with migrated_pool(postgres) as pool:
        known = (
            cell_view(),
            cell_view("aws-us-west-2-c1", region="aws-us-west-2"),
            cell_view("synthetic-c0", region="gcp-us-central1", ring=0),
        )
        for cell in known:
            await Projections(pool).publish_cell(cell)
        keys, writer = ApiKeys(pool, await ensure_signer(secrets)), MemoryWriter()
        fleet = MemoryFleetWriter(
            fleet=await StoredInventory(pool).take(), cells={cell.id: cell for cell in known}
        )
        anywhere = ApiSettings("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0")
        certificate = ApiCertificate(secrets, ZONE)

        async def engine_answers() -> bool:
            return not writer.silent

        cells = MemoryCellKeys()
        distribution = distribution_to(cells, pool, keys.signer)
        async with (
            running(distribution),
            serving(
                pool, keys, writer, fleet.all(), certificate, ZONE, anywhere, engine_answers
            ) as ports,
        ):
            yield RunningApi(pool, keys, writer, fleet, ca, ports, secrets, distribution, cells)
