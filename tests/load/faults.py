"""Faults and changes under a steady load, each counted: `python -m tests.load.faults [SECONDS]`.

Twenty namespaces with a worker each, whose clients start workflows on a schedule that waits for
nothing, and connect anew in turn. Then something dies, or changes, while they go on.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.cloud.cloudservice.v1 import GetRegionsRequest
from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.service import RPCError, RPCStatusCode

from controlplane.local.cells import CELLS
from controlplane.local.control_plane import API, ENGINE, POSTGRES, WORKER
from controlplane.secrets.port import namespace_certificate
from provisioning.certificates.x509 import CertificateAndKey, new_ca
from provisioning.client import NamespaceClient
from provisioning.types import InspectNamespace
from tests.eventually import eventually
from tests.fleet import running_fleet
from tests.load.outcomes import Count, table
from tests.load.stage import (
    Stage,
    fulfilled,
    new_key,
    revoke_key,
    stage_of,
)
from tests.load.traffic import Entrance
from tests.tenant import REGIONS, tenant_of
from tests.traces import engine_of, secret_store

NAMESPACES = 20
INTERVAL_SECONDS = 1.0
RECONNECT_EVERY_SECONDS = 0.5
AFTER_SECONDS = 3.0

Fault = Callable[[Stage], Awaitable[None]]


async def under(stage: Stage, fault: Fault, after: float = AFTER_SECONDS) -> Count:
    """Count the load from just before a fault until some seconds after it was overcome."""
    begin = time.monotonic()
    await fault(stage)
    await asyncio.sleep(after)
    return await stage.load.count(begin, time.monotonic())


async def nothing(_: Stage) -> None:
    """The load alone, to compare with."""


async def client_cas_rotate(stage: Stage) -> None:
    """Every namespace trusts old and new CA, clients change over, then it trusts the new alone."""
    former, next_one = stage.ca, new_ca("the tenant's next CA", validity=timedelta(days=1))
    await stage.update(lambda spec: _trust(spec, former, next_one))
    stage.hand_out(next_one)
    await stage.load.reconnect()
    await stage.update(lambda spec: _trust(spec, next_one))


async def an_api_key_is_revoked(stage: Stage) -> None:
    """A key that a client uses on an open connection; once revoked, its next request is refused."""
    key = await new_key(stage.tenant, "doomed")
    beside = next(e for e in stage.load.entrances if e.api_key_file)
    file = Path(beside.api_key_file).with_name("doomed-api-key")
    file.touch(mode=0o600)
    file.write_text(key.token)
    doomed = Entrance(**{**vars(beside), "api_key_file": str(file)})
    client = await doomed.connect()
    await client.count_workflows()
    await revoke_key(stage.tenant, key)
    with pytest.raises(RPCError) as refused:
        await client.count_workflows()
    assert refused.value.status == RPCStatusCode.UNAUTHENTICATED, refused.value


async def server_certificates_renew(stage: Stage) -> None:
    """Every namespace's certificate is lost, found to be so, and issued anew."""
    tenant, store = stage.tenant, secret_store(stage.tenant.fleet)
    namespaces = NamespaceClient(await engine_of(tenant.fleet))

    async def renew(name: str) -> None:
        namespace = tenant.id(name)
        before = await store.get(namespace_certificate(namespace))
        await store.delete(namespace_certificate(namespace))
        operation = str(uuid4())
        await namespaces.inspect(namespace, InspectNamespace(operation))
        await fulfilled(tenant, operation)
        after = await store.get(namespace_certificate(namespace))
        assert after not in (None, before), "there is a new certificate"

    await asyncio.gather(*map(renew, stage.names))
    await stage.load.reconnect()


async def gatekeepers_die(stage: Stage) -> None:
    """Every cell's gatekeeper at once; over when new connections get in again."""
    fleet = stage.tenant.fleet
    await asyncio.gather(*(fleet.kill(cell.gatekeeper) for cell in CELLS))
    await stage.load.reconnect()


async def postgresql_dies(stage: Stage) -> None:
    """The control plane's PostgreSQL, which in an embedded fleet is also that of its cells."""
    await stage.tenant.fleet.kill(POSTGRES)
    await _is_whole(stage)


async def the_engine_dies(stage: Stage) -> None:
    await stage.tenant.fleet.kill(ENGINE)
    await _is_whole(stage)


async def api_and_worker_die(stage: Stage) -> None:
    await asyncio.gather(stage.tenant.fleet.kill(API), stage.tenant.fleet.kill(WORKER))
    await _is_whole(stage)


FAULTS: Mapping[str, Fault] = {
    "nothing happens": nothing,
    "client CAs rotate": client_cas_rotate,
    "server certificates renew": server_certificates_renew,
    "an API key is revoked": an_api_key_is_revoked,
    "every gatekeeper dies": gatekeepers_die,
    "PostgreSQL dies": postgresql_dies,
    "the engine dies": the_engine_dies,
    "API and worker die": api_and_worker_die,
}


def _trust(spec: NamespaceSpec, *authorities: CertificateAndKey) -> None:
    bundle = b"".join(authority.certificate_pem for authority in authorities)
    spec.mtls_auth.accepted_client_ca = bundle


async def _is_whole(stage: Stage) -> None:
    """Create and delete a namespace in every region: all parts of the fleet work together."""

    async def answers() -> bool:
        try:
            await stage.tenant.cloud.cloud_service.get_regions(GetRegionsRequest())
        except RPCError:
            return False
        return True

    await eventually(answers, within=200, every=0.2)
    names = [f"meanwhile-{n}" for n, _ in enumerate(REGIONS)]
    await asyncio.gather(*map(stage.tenant.created, names, REGIONS))
    await stage.tenant.deleted(*names)


async def main(after: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_fleet(Path(folder) / "home") as fleet, tenant_of(fleet) as tenant:
            counts = {}
            async with stage_of(
                tenant, Path(folder), NAMESPACES, INTERVAL_SECONDS, RECONNECT_EVERY_SECONDS
            ) as stage:
                for name, fault in FAULTS.items():
                    counts[name] = await under(stage, fault, after)
                    print(table({name: counts[name]}).splitlines()[-1], flush=True)
            print(table(counts))
    for name, counted in counts.items():
        for what in sorted(set(counted.errors)):
            print(f"{name}: {counted.errors.count(what)} times {what}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if sys.argv[1:] else 30.0))
