"""Namespaces of a tenant under load, with their credentials in files that clients read anew."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from temporalio.api.cloud.cloudservice.v1 import (
    CreateApiKeyRequest,
    DeleteApiKeyRequest,
    GetApiKeyRequest,
    GetCurrentIdentityRequest,
    GetNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.api.cloud.identity.v1 import ApiKeySpec, OwnerType
from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation

from provisioning.certificates.x509 import CertificateAndKey, issue_client
from tests.load.process import Plan
from tests.load.running import RunningLoad, running_load
from tests.load.traffic import Entrance
from tests.tenant import REGIONS, Tenant

BY_API_KEY = 5
"""Every fifth namespace's clients show an API key, all others' a certificate."""
_TOGETHER = 2
"""How many changes are asked for at once: what is measured is the change, not a busy machine."""


@dataclass
class Stage:
    """Loaded namespaces, and the tenant whose they are."""

    tenant: Tenant
    names: Sequence[str]
    load: RunningLoad
    ca: CertificateAndKey
    """The CA of the certificates that clients show now."""

    async def update(self, change: Callable[[NamespaceSpec], None]) -> None:
        """Change the spec of every namespace, and return once all changes are in force."""
        limit = asyncio.Semaphore(_TOGETHER)

        async def one(name: str) -> None:
            async with limit:
                await update(self.tenant, name, change)

        await asyncio.gather(*map(one, self.names))

    def hand_out(self, ca: CertificateAndKey) -> None:
        """Write certificates of this CA to the files from which clients take theirs."""
        self.ca = ca
        for entrance in self.load.entrances:
            if entrance.identity_file:
                write_identity(entrance, ca)


@dataclass(frozen=True)
class Key:
    id: str
    token: str


async def update(tenant: Tenant, name: str, change: Callable[[NamespaceSpec], None]) -> None:
    """Change a namespace's spec as the documentation tells: read it, change it, send it whole."""
    cloud, namespace = tenant.cloud.cloud_service, tenant.id(name)
    got = await cloud.get_namespace(GetNamespaceRequest(namespace=namespace))
    change(got.namespace.spec)
    answer = await cloud.update_namespace(
        UpdateNamespaceRequest(
            namespace=namespace,
            spec=got.namespace.spec,
            resource_version=got.namespace.resource_version,
            async_operation_id=str(uuid4()),
        )
    )
    await fulfilled(tenant, answer.async_operation.id)


async def fulfilled(tenant: Tenant, operation: str, every: float = 0.1) -> None:
    """Return once the operation has done what was asked for."""
    ended = await tenant.finished(operation, within=200, every=every)
    assert ended.state == AsyncOperation.STATE_FULFILLED, ended.failure_reason


async def new_key(tenant: Tenant, name: str) -> Key:
    """Make an API key of the tenant's own user, and return once it is known everywhere."""
    cloud = tenant.cloud.cloud_service
    me = await cloud.get_current_identity(GetCurrentIdentityRequest())
    spec = ApiKeySpec(owner_id=me.user.id, owner_type=OwnerType.OWNER_TYPE_USER, display_name=name)
    spec.expiry_time.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    answer = await cloud.create_api_key(
        CreateApiKeyRequest(spec=spec, async_operation_id=str(uuid4()))
    )
    await fulfilled(tenant, answer.async_operation.id)
    return Key(answer.key_id, answer.token)


async def revoke_key(tenant: Tenant, key: Key) -> None:
    """Delete an API key, and return once nobody takes it any more."""
    cloud = tenant.cloud.cloud_service
    got = await cloud.get_api_key(GetApiKeyRequest(key_id=key.id))
    answer = await cloud.delete_api_key(
        DeleteApiKeyRequest(
            key_id=key.id,
            resource_version=got.api_key.resource_version,
            async_operation_id=str(uuid4()),
        )
    )
    await fulfilled(tenant, answer.async_operation.id, every=0.02)


@asynccontextmanager
async def stage_of(
    tenant: Tenant, folder: Path, count: int, interval: float, reconnect_every: float
) -> AsyncIterator[Stage]:
    """Create namespaces in every region in turn and load them; leave nothing of them behind."""
    names = [f"loaded-{n}" for n in range(count)]
    regions = [REGIONS[n % len(REGIONS)] for n in range(count)]
    by_key = names[BY_API_KEY - 1 :: BY_API_KEY]
    try:
        await asyncio.gather(*map(tenant.created, names, regions))
        await asyncio.gather(*(update(tenant, name, take_api_keys) for name in by_key))
        key = await new_key(tenant, "the load's")
        try:
            key_file = folder / "api-key"
            _write(key_file, key.token.encode())
            entrances = [
                entrance(tenant, name, region, api_key_file=str(key_file))
                if name in by_key
                else entrance(tenant, name, region, identity_file=str(folder / f"{name}.pem"))
                for name, region in zip(names, regions, strict=True)
            ]
            for one in entrances:
                if one.identity_file:
                    write_identity(one, tenant.ca)
            plan = Plan(tuple(entrances), interval, reconnect_every)
            async with running_load(folder, plan) as load:
                yield Stage(tenant, names, load, tenant.ca)
        finally:
            await revoke_key(tenant, key)
    finally:
        await tenant.deleted(*names)


def take_api_keys(spec: NamespaceSpec) -> None:
    spec.api_key_auth.enabled = True


def entrance(
    tenant: Tenant, name: str, region: str, identity_file: str = "", api_key_file: str = ""
) -> Entrance:
    """Return the way to a namespace, with one of the two kinds of credential."""
    namespace, record = tenant.id(name), tenant.fleet.record
    return Entrance(
        namespace,
        record.address(f"{region}-c1.ingress"),
        f"{namespace}.{record.zone}",
        str(tenant.fleet.ca_file),
        identity_file,
        api_key_file,
    )


def write_identity(entrance: Entrance, ca: CertificateAndKey) -> None:
    identity = issue_client(ca, "worker", validity=timedelta(hours=1))
    _write(Path(entrance.identity_file), identity.certificate_pem + identity.key_pem)


def _write(file: Path, secret: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(secret)
