"""What the Fleet API tells and changes of a namespace."""

from dataclasses import replace

import httpx
import pytest
from cryptography import x509
from pydantic import TypeAdapter

from controlplane.api.fleet_types import (
    NamespaceDetails,
    OperationDetails,
)
from controlplane.identity.types import Permission, Role
from controlplane.store.projections import Projections
from provisioning.certificates.x509 import fingerprint
from provisioning.types import (
    Difference,
    IngressPolicy,
    Inspection,
    OperationKind,
    OperationState,
    Step,
)
from tests.api.colleagues import colleague
from tests.api.managed import CHANGES, CSR, active, managed
from tests.api.running import RunningApi, Tenant
from tests.store.views import NOW


async def test_what_differs_what_is_limited_and_what_is_tagged_is_told(
    api: RunningApi, tenant: Tenant
) -> None:
    view = replace(
        await managed(api, tenant),
        revision=2,
        tags={"team": "a"},
        policy=IngressPolicy(requests_per_second=50, revoked_serials=("a1b",)),
        inspection=Inspection(NOW, (Difference(Step.ADMIT, "client_ca", "abc", "def"),)),
    )
    await Projections(api.pool).publish_namespace(view)

    async with tenant.http() as http:
        answer = await http.get(f"/fleet/v1/namespaces/{view.id}")

    details = TypeAdapter(NamespaceDetails).validate_json(answer.content)
    assert details.tags == view.tags
    assert details.policy == view.policy
    assert details.inspection == view.inspection
    assert view.observed.certificate is not None
    ca = x509.load_pem_x509_certificate(view.observed.certificate.managed_ca.encode())
    assert details.managed_ca is not None
    assert details.managed_ca.fingerprint == fingerprint(ca)
    assert details.managed_ca.not_after == ca.not_valid_after_utc


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_an_operation_that_is_begun_once(
    api: RunningApi, tenant: Tenant, change: str
) -> None:
    namespace = await active(api, tenant, managed_ca=True)
    method, path, body = CHANGES[change]
    operation = f"{change}-{tenant.account}"
    asked = {**(body or {}), "operation_id": operation}

    async with tenant.http() as http:
        url = f"/fleet/v1/namespaces/{namespace}/{path}"
        first = await http.request(method, url, json=asked)
        again = await http.request(method, url, json=asked)
        unnamed = await http.request("POST", f"/fleet/v1/namespaces/{namespace}/inspect")
        read = await http.get(f"/fleet/v1/operations/{operation}")

    assert first.status_code == httpx.codes.ACCEPTED, first.text
    begun = TypeAdapter(OperationDetails).validate_json(first.content)
    assert (begun.id, begun.namespace) == (operation, namespace)
    assert begun.state is OperationState.PENDING
    assert again.json() == first.json() == read.json()
    assert api.writer.asked.count(operation) == 1
    assert unnamed.json()["id"] not in ("", operation)


async def test_an_operation_id_of_another_change_is_refused(
    api: RunningApi, tenant: Tenant
) -> None:
    namespace = await active(api, tenant)

    async with tenant.http() as http:
        url = f"/fleet/v1/namespaces/{namespace}/request-limit"
        await http.put(url, json={"requests_per_second": 5, "operation_id": "op-1"})
        answer = await http.put(url, json={"requests_per_second": 6, "operation_id": "op-1"})

    assert answer.status_code == httpx.codes.CONFLICT
    assert "'op-1' already stands for another request" in answer.json()["message"]


async def test_the_request_limit_is_set_and_shown(api: RunningApi, tenant: Tenant) -> None:
    namespace = await active(api, tenant)

    async with tenant.http() as http:
        url = f"/fleet/v1/namespaces/{namespace}"
        await http.put(f"{url}/request-limit", json={"requests_per_second": 50})
        limited = (await http.get(url)).json()
        shown = (await http.get(f"/cloud/namespaces/{namespace}")).json()
        same = await http.put(f"{url}/request-limit", json={"requests_per_second": 50})
        await http.put(f"{url}/request-limit", json={"requests_per_second": 0})
        free = (await http.get(url)).json()

    assert limited["policy"]["requests_per_second"] == 50
    assert shown["namespace"]["limits"] == {"actionsPerSecondLimit": 50}
    assert same.status_code == httpx.codes.BAD_REQUEST
    assert "nothing to change" in same.json()["message"]
    assert free["policy"]["requests_per_second"] == 0


SERIALS = ["0A:1B:2C", "a1b2c", "000A1B2C", "0a:1b:2C"]


@pytest.mark.parametrize("serial", SERIALS)
async def test_a_serial_number_is_understood_however_a_tool_prints_it(
    api: RunningApi, tenant: Tenant, serial: str
) -> None:
    namespace = await active(api, tenant)

    async with tenant.http() as http:
        url = f"/fleet/v1/namespaces/{namespace}"
        revoked = await http.put(f"{url}/revoked-certificates/{serial}")
        during = (await http.get(url)).json()
        restored = await http.delete(
            f"{url}/revoked-certificates/{serial}", params={"operation_id": "op-restore"}
        )
        after = (await http.get(url)).json()

    assert revoked.json()["kind"] == OperationKind.REVOKE
    assert during["policy"]["revoked_serials"] == ["a1b2c"]
    assert restored.json()["kind"] == OperationKind.RESTORE
    assert restored.json()["id"] == "op-restore"
    assert after["policy"]["revoked_serials"] == []


BAD: dict[str, tuple[str, str, dict[str, object] | None, str]] = {
    "serial": ("PUT", "revoked-certificates/worker", None, "is not the serial number"),
    "zero": ("PUT", "revoked-certificates/00", None, "is not the serial number"),
    "negative": ("PUT", "request-limit", {"requests_per_second": -1}, "requests_per_second"),
    "text": ("PUT", "request-limit", {"requests_per_second": "many"}, "requests_per_second"),
    "no limit": ("PUT", "request-limit", {}, "requests_per_second"),
    "misspelt": ("PUT", "request-limit", {"requests_per_second": 1, "burst": 2}, "burst"),
    "no csr": ("POST", "client-certificates", {"lifetime_days": 1}, "csr"),
    "key": (
        "POST",
        "client-certificates",
        {"csr": CSR.replace("CERTIFICATE REQUEST", "PRIVATE KEY"), "lifetime_days": 1},
        "csr is not a certificate signing request",
    ),
    "long csr": ("POST", "client-certificates", {"csr": "x" * 17_000, "lifetime_days": 1}, "csr"),
    "for ever": (
        "POST",
        "client-certificates",
        {"csr": CSR, "lifetime_days": 366},
        "lifetime_days",
    ),
    "operation": ("POST", "inspect", {"operation_id": "with blank"}, "async_operation_id"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_change_that_cannot_be_is_refused_with_the_field_at_fault(
    api: RunningApi, tenant: Tenant, case: str
) -> None:
    namespace = await active(api, tenant, managed_ca=True)
    method, path, body, told = BAD[case]

    async with tenant.http() as http:
        answer = await http.request(method, f"/fleet/v1/namespaces/{namespace}/{path}", json=body)

    assert answer.status_code == httpx.codes.BAD_REQUEST, answer.text
    assert answer.json()["status"] == "INVALID_ARGUMENT"
    assert told in answer.json()["message"]


async def test_no_certificate_is_issued_where_no_ca_is_kept(
    api: RunningApi, tenant: Tenant
) -> None:
    namespace = await active(api, tenant)

    async with tenant.http() as http:
        answer = await http.post(
            f"/fleet/v1/namespaces/{namespace}/client-certificates",
            json={"csr": CSR, "lifetime_days": 1},
        )

    assert answer.json()["status"] == "FAILED_PRECONDITION"
    assert "has no managed CA" in answer.json()["message"]


async def test_roles_and_permissions_decide_here_too(api: RunningApi, tenant: Tenant) -> None:
    namespace = await active(api, tenant, managed_ca=True)
    reader = await colleague(tenant, Role.READ, {namespace: Permission.READ})
    outsider = await colleague(tenant, Role.DEVELOPER)
    url = f"/fleet/v1/namespaces/{namespace}"

    async with reader.http() as http:
        assert (await http.get(url)).status_code == httpx.codes.OK
        for method, path, body in (CHANGES["limit"], CHANGES["issue"], CHANGES["revoke"]):
            answer = await http.request(method, f"{url}/{path}", json=body)
            assert answer.status_code == httpx.codes.FORBIDDEN, path
            assert answer.json()["status"] == "PERMISSION_DENIED"
    async with outsider.http() as http:
        assert (await http.get(url)).status_code == httpx.codes.FORBIDDEN


async def test_of_another_accounts_namespace_nothing_is_learnt_and_nothing_changed(
    api: RunningApi, tenant: Tenant
) -> None:
    namespace = await active(api, tenant, managed_ca=True)
    stranger = await api.tenant()
    absent = f"absent.{tenant.account}"
    requests = [
        *CHANGES.values(),
        ("GET", "", None),
        ("GET", "client-ca", None),
        ("GET", "client-certificates", None),
        ("GET", "client-certificates/a1b", None),
    ]

    async with stranger.http() as http:
        for method, path, body in requests:
            told = set()
            for name in (namespace, absent):
                url = f"/fleet/v1/namespaces/{name}/{path}".rstrip("/")
                answer = await http.request(method, url, json=body)
                told.add((answer.status_code, answer.json()["message"].replace(name, "X")))
            assert told == {(httpx.codes.NOT_FOUND, "namespace 'X' not found")}, path
