"""A tenant of a fleet: an API key, a CA and client certificates, in the hands of real clients."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    DeleteNamespaceRequest,
    GetAsyncOperationRequest,
)
from temporalio.api.cloud.namespace.v1 import MtlsAuthSpec, NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.client import Client, CloudOperationsClient
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from provisioning.certificates.x509 import CertificateAndKey, issue_client, new_ca
from tests.fleet import RunningFleet

REGIONS = ("aws-us-east-1", "aws-us-west-2", "gcp-us-central1")
FINISHED = (
    AsyncOperation.STATE_FULFILLED,
    AsyncOperation.STATE_FAILED,
    AsyncOperation.STATE_CANCELLED,
)


@dataclass(frozen=True)
class Tenant:
    fleet: RunningFleet
    cloud: CloudOperationsClient
    ca: CertificateAndKey = field(
        default_factory=lambda: new_ca("the tenant's CA", validity=timedelta(days=1))
    )

    def id(self, name: str) -> str:
        return f"{name}.{self.fleet.account}"

    async def create(self, name: str, region: str = REGIONS[0], operation: str = "") -> str:
        """Ask for a namespace as persistently as the Go SDK does; return the operation's id."""
        operation = operation or str(uuid4())
        mtls = MtlsAuthSpec(enabled=True, accepted_client_ca=self.ca.certificate_pem)
        spec = NamespaceSpec(name=name, regions=[region], retention_days=7, mtls_auth=mtls)
        request = CreateNamespaceRequest(spec=spec, async_operation_id=operation)
        await self._persist(request)
        return operation

    async def delete(self, name: str) -> str:
        operation = str(uuid4())
        await self._persist(
            DeleteNamespaceRequest(namespace=self.id(name), async_operation_id=operation)
        )
        return operation

    async def finished(
        self, operation: str, within: float = 200, every: float = 0.1
    ) -> AsyncOperation:
        """Return the operation once it has ended, one way or the other."""
        request = GetAsyncOperationRequest(async_operation_id=operation)
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(RPCError):
                    answer = await self.cloud.cloud_service.get_async_operation(request)
                    if answer.async_operation.state in FINISHED:
                        return answer.async_operation
                await asyncio.sleep(every)

    async def created(self, name: str, region: str = REGIONS[0]) -> None:
        """Create a namespace, and again while its cell is not ready: as it was when last seen."""
        async with asyncio.timeout(120):
            while True:
                operation = await self.finished(await self.create(name, region))
                if operation.state == AsyncOperation.STATE_FULFILLED:
                    return
                assert "not ready" in operation.failure_reason, operation.failure_reason
                await asyncio.sleep(1)

    async def deleted(self, *names: str) -> None:
        operations = await asyncio.gather(*(self.delete(name) for name in names))
        for operation in await asyncio.gather(*map(self.finished, operations)):
            assert operation.state == AsyncOperation.STATE_FULFILLED, operation.failure_reason

    async def connect(
        self, name: str, region: str = REGIONS[0], identity: CertificateAndKey | None = None
    ) -> Client:
        """Connect to a namespace with default settings, as its documentation tells."""
        identity = identity or issue_client(self.ca, "worker", validity=timedelta(hours=1))
        return await Client.connect(
            self.fleet.record.address(f"{region}-c1.ingress"),
            namespace=self.id(name),
            tls=TLSConfig(
                server_root_ca_cert=self.fleet.ca_file.read_bytes(),
                domain=f"{self.id(name)}.{self.fleet.record.zone}",
                client_cert=identity.certificate_pem,
                client_private_key=identity.key_pem,
            ),
        )

    async def _persist(self, request: CreateNamespaceRequest | DeleteNamespaceRequest) -> None:
        async with asyncio.timeout(200):
            while True:
                try:
                    if isinstance(request, CreateNamespaceRequest):
                        await self.cloud.cloud_service.create_namespace(request)
                    else:
                        await self.cloud.cloud_service.delete_namespace(request)
                except RPCError as error:
                    if error.status not in RETRIED:
                        raise
                    await asyncio.sleep(0.3)
                else:
                    return


RETRIED: Sequence[RPCStatusCode] = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.DEADLINE_EXCEEDED,
)


@contextlib.asynccontextmanager
async def tenant_of(fleet: RunningFleet) -> AsyncIterator[Tenant]:
    """Be the fleet's first account; leave none of its namespaces behind."""
    cloud = await CloudOperationsClient.connect(
        api_key=fleet.api_key, target_host=fleet.address, tls=False
    )
    yield Tenant(fleet, cloud)
