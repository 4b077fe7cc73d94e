import base64
from collections.abc import AsyncIterator

import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from controlplane.api.gateway import LARGEST_BODY
from tests.api.running import CLIENT_CA, RunningApi, Tenant, declared
from tests.store.views import REGION


def spec(name: str) -> dict[str, object]:
    return {
        "name": name,
        "replicas": [{"region": REGION}],
        # Either spelling, as protobuf's JSON has it.
        "retention_days": 7,
        "mtlsAuth": {"enabled": True, "acceptedClientCa": base64.b64encode(CLIENT_CA).decode()},
    }


async def test_a_namespace_is_made_read_listed_and_deleted_over_http(
    api: RunningApi, tenant: Tenant
) -> None:
    async with tenant.http() as http:
        created = await http.post(
            "/cloud/namespaces", json={"spec": spec("orders"), "asyncOperationId": "op-http"}
        )
        namespace = created.json()["namespace"]
        await api.settle(namespace)
        read = await http.get(f"/cloud/namespaces/{namespace}")
        listed = await http.get("/cloud/namespaces", params={"pageSize": "1", "name": "orders"})
        operation = await http.get("/cloud/operations/op-http")
        deleted = await http.delete(
            f"/cloud/namespaces/{namespace}", params={"asyncOperationId": "op-gone"}
        )

    assert namespace == f"orders.{tenant.account}"
    assert created.json()["asyncOperation"]["id"] == "op-http"
    assert read.json()["namespace"]["state"] == "RESOURCE_STATE_ACTIVE"
    assert read.json()["namespace"]["spec"]["retentionDays"] == 7
    assert [found["namespace"] for found in listed.json()["namespaces"]] == [namespace]
    assert operation.json()["asyncOperation"]["state"] == "STATE_FULFILLED"
    assert operation.json()["asyncOperation"]["checkDuration"] == "1s"
    asked = operation.json()["asyncOperation"]["operationInput"]
    assert asked["@type"].endswith(".CreateNamespaceRequest")
    assert asked["spec"] == MessageToDict(declared("orders"))
    assert deleted.json()["asyncOperation"]["id"] == "op-gone"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/cloud/current-identity", 200, None),
        ("/cloud/account", 200, None),
        ("/cloud/regions", 200, None),
        (f"/cloud/regions/{REGION}", 200, None),
        ("/cloud/regions/aws-mars-1", 404, 5),
        ("/cloud/namespaces?pageSize=-1", 400, 3),
        ("/cloud/namespaces?pageSize=many", 400, 3),
        ("/cloud/namespaces?pageSize=1&pageSize=2", 400, 3),
        ("/cloud/namespaces?nonsense=1", 400, 3),
        ("/cloud/namespaces?pageToken=%00%ff", 400, 3),
        ("/cloud/namespaces/%00", 400, 3),
        ("/cloud/namespaces/%F0%28%8C", 404, 5),
        ("/cloud/operations/a%00b", 400, 3),
        ("/cloud/custom-roles", 501, 12),
        ("/cloud/user-groups?page_size=1&namespace=x", 501, 12),
        ("/cloud/user-groups?googleGroup.emailAddress=x", 501, 12),
        ("/cloud/usage?startTimeInclusive=2026-01-01T00:00:00Z", 501, 12),
        ("/cloud/usage?startTimeInclusive=yesterday", 400, 3),
        ("/cloud/nothing", 404, 5),
        ("/cloud", 404, 5),
        ("/cloud/", 404, 5),
        ("/cloud/namespaces/", 404, 5),
        ("/cloud/namespaces//update-tags", 404, 5),
    ],
)
async def test_answers_have_the_status_of_their_grpc_code(
    tenant: Tenant, path: str, status: int, code: int | None
) -> None:
    async with tenant.http() as http:
        answer = await http.get(path)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    if code is not None:
        assert set(answer.json()) == {"code", "message", "details"}
        assert answer.json()["code"] == code
        assert answer.json()["details"] == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000, b'{"spec": 1}', b"NaN"])
async def test_a_body_that_is_no_request_is_refused(tenant: Tenant, body: bytes) -> None:
    async with tenant.http() as http:
        answer = await http.post("/cloud/namespaces", content=body)

    assert answer.status_code == 400
    assert answer.json()["code"] == 3


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read_whole(tenant: Tenant) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * LARGEST_BODY:
            sent += 1024 * 1024
            yield b" " * 1024 * 1024

    async with tenant.http() as http:
        try:
            answer = await http.post("/cloud/namespaces", content=endless())
        except httpx.TransportError:
            pass  # The server stopped listening first.
        else:
            assert answer.status_code == 400

    assert sent < 50 * LARGEST_BODY


async def test_the_version_that_a_client_names_reaches_the_handlers(
    tenant: Tenant,
) -> None:
    # A field that clients of an early version cannot decode is kept from them.
    flag = {"disablePassivePollerForwarding": True}
    async with tenant.http() as http:
        spec_with_flag = {**spec("orders"), "highAvailability": flag}
        created = await http.post("/cloud/namespaces", json={"spec": spec_with_flag})
        path = f"/cloud/namespaces/{created.json()['namespace']}"
        latest = await http.get(path)
        early = await http.get(path, headers={"temporal-cloud-api-version": "v0.10.0"})

    assert latest.json()["namespace"]["spec"]["highAvailability"] == flag
    assert early.json()["namespace"]["spec"].get("highAvailability", {}) == {}


async def test_no_route_is_open(tenant: Tenant) -> None:
    async with tenant.http() as http:
        http.headers.pop("authorization")
        for method, path in (
            ("GET", "/cloud/account"),
            ("HEAD", "/cloud/account"),
            ("POST", "/cloud/namespaces"),
            ("DELETE", f"/cloud/namespaces/orders.{tenant.account}"),
            ("GET", "/cloud/user-groups"),
        ):
            refused = await http.request(method, path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            basic = {"authorization": f"Basic {tenant.token}"}
            assert (await http.request(method, path, headers=basic)).status_code == 401


async def test_a_verb_that_a_path_does_not_have_is_not_implemented_and_says_which_it_has(
    tenant: Tenant,
) -> None:
    async with tenant.http() as http:
        wrong = await http.put("/cloud/namespaces", json={})
        options = await http.options("/cloud/namespaces")
        head = await http.head("/cloud/account")

    assert (wrong.status_code, wrong.json()["code"]) == (501, 12)
    assert wrong.headers["allow"] == options.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert (options.status_code, options.content) == (204, b"")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
