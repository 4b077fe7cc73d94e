"""Whatever dies, and whenever: a change is made once, and the namespace is as was asked."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporalio.service import RPCError

from provisioning.client import NamespaceClient
from provisioning.types import (
    InspectNamespace,
    IssueClientCertificate,
    NamespaceView,
    OperationState,
    RenameSearchAttribute,
    RevokeCertificate,
    SearchAttributeType,
    UpdateNamespace,
)
from tests.eventually import eventually
from tests.faults.faulty_worker import faulty_worker
from tests.faults.replays import assert_everything_replays
from tests.fleet import RunningFleet
from tests.tenant import REGIONS, Tenant
from tests.traces import engine_of, projected

CALLS = (
    "registrar.rename",
    "registrar.register",
    "certificates.ensure",
    "ingress.admit",
    "prober.prove",
    "certificates.sign",
    "client_certificates.record",
)
"""What the steps of changes ask of the world."""
PLANS = [
    *((call, "after") for call in CALLS),
    ("registrar.rename", "during"),
    ("ingress.admit", "during"),
    ("certificates.sign", "before"),
]
"""After a call took effect and before anybody knew is where most can go wrong. Every death holds up
all namespaces for some seconds, so that three times as many would take minutes."""


@pytest.mark.timeout(1200)
async def test_a_worker_killed_in_and_between_all_steps_makes_each_change_once(
    fleet: RunningFleet, tenant: Tenant, tmp_path: Path
) -> None:
    names = [f"changed-{n}" for n in range(len(PLANS))]
    namespaces = NamespaceClient(await engine_of(fleet))
    await asyncio.gather(*(tenant.created(name, REGIONS[n % 3]) for n, name in enumerate(names)))
    fields = {
        name: await _given_a_search_attribute(fleet, namespaces, tenant.id(name)) for name in names
    }
    async with faulty_worker(fleet, tmp_path / "faults") as worker:
        for name, (call, when) in zip(names, PLANS, strict=True):
            worker.faults.plan(tenant.id(name), call, "kill", when)

        views = await asyncio.gather(
            *(_changed(fleet, namespaces, tenant.id(name)) for name in names)
        )

        assert worker.faults.planned() == [], "every fault struck"
        assert 0 < worker.deaths <= len(PLANS), "two may strike one process at the same moment"
    for name, view in zip(names, views, strict=True):
        assert view.inspection is not None
        assert view.inspection.differences == (), name
        assert view.observed.registration is not None
        assert view.observed.registration.fields == {"Buyer": fields[name]}, name
        assert len(await _client_certificates(fleet, view.id)) == 1
    await assert_everything_replays(fleet)
    await tenant.deleted(*names)


async def _given_a_search_attribute(
    fleet: RunningFleet, namespaces: NamespaceClient, namespace: str
) -> str:
    """Return the field in which the visibility store keeps it."""
    spec = (await projected(fleet, namespace)).spec
    wanted = replace(spec, search_attributes={"Customer": SearchAttributeType.KEYWORD})
    update = UpdateNamespace(_operation(), "", wanted)
    view = await _done(fleet, namespace, await _asked(lambda: namespaces.update(namespace, update)))
    assert view.observed.registration is not None
    return view.observed.registration.fields["Customer"]


async def _changed(
    fleet: RunningFleet, namespaces: NamespaceClient, namespace: str
) -> NamespaceView:
    """Change the namespace in every way, and look at what has become of it."""
    rename = RenameSearchAttribute(_operation(), "", "Customer", "Buyer")
    await _done(
        fleet,
        namespace,
        await _asked(lambda: namespaces.rename_search_attribute(namespace, rename)),
    )
    spec = (await projected(fleet, namespace)).spec
    wanted = replace(spec, retention=timedelta(days=14), client_ca="", managed_ca=True)
    update = UpdateNamespace(_operation(), "", wanted)
    await _done(fleet, namespace, await _asked(lambda: namespaces.update(namespace, update)))
    issue = IssueClientCertificate(_operation(), _signing_request(), timedelta(days=1))
    await _done(fleet, namespace, await _asked(lambda: namespaces.issue(namespace, issue)))
    revoke = RevokeCertificate(_operation(), "a1")
    await _done(fleet, namespace, await _asked(lambda: namespaces.revoke(namespace, revoke)))
    inspect = InspectNamespace(_operation())
    return await _done(
        fleet, namespace, await _asked(lambda: namespaces.inspect(namespace, inspect))
    )


def _operation() -> str:
    return str(uuid4())


async def _asked(ask: Callable[[], Awaitable[NamespaceView]]) -> NamespaceView:
    """Ask as persistently as the API's clients do, under the same operation id."""
    async with asyncio.timeout(300):
        while True:
            with contextlib.suppress(RPCError):
                return await ask()
            await asyncio.sleep(0.3)


async def _done(fleet: RunningFleet, namespace: str, accepted: NamespaceView) -> NamespaceView:
    """Return the namespace once its newest operation is fulfilled."""
    newest = accepted.operations[-1].id
    view = accepted

    async def done() -> bool:
        nonlocal view
        view = await projected(fleet, namespace)
        states = {op.id: op for op in view.operations}
        if newest not in states:
            return False  # What was published last is older than the answer.
        assert states[newest].state != OperationState.FAILED, states[newest].failure_reason
        return states[newest].state == OperationState.FULFILLED

    await eventually(done, within=400)
    return view


async def _client_certificates(fleet: RunningFleet, namespace: str) -> list[object]:
    headers = {"authorization": f"Bearer {fleet.api_key}"}
    async with httpx.AsyncClient(base_url=fleet.url, headers=headers) as api:
        answer = await api.get(f"/fleet/v1/namespaces/{namespace}/client-certificates")
    found = json.loads(answer.raise_for_status().text)
    return list(found["certificates"])


def _signing_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worker-1")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
