import base64

import httpx
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.applications import Starlette

from controlplane.api.calls import SERVICE, all_rpcs
from controlplane.api.gateway import gateway_routes
from controlplane.identity.types import Principal
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
    ("path", "status"),
    [
        ("/cloud/current-identity", 200),
        ("/cloud/account", 200),
        ("/cloud/regions", 200),
        (f"/cloud/regions/{REGION}", 200),
        ("/cloud/regions/aws-mars-1", 404),
        ("/cloud/namespaces?pageSize=-1", 400),
        ("/cloud/namespaces?pageSize=many", 400),
        ("/cloud/namespaces?nonsense=1", 400),
        ("/cloud/users", 501),
        ("/cloud/users?page_size=1&namespace=x", 501),
        ("/cloud/user-groups?googleGroup.emailAddress=x", 501),
        ("/cloud/nothing", 404),
    ],
)
async def test_answers_have_the_status_of_their_grpc_code(
    tenant: Tenant, path: str, status: int
) -> None:
    async with tenant.http() as http:
        answer = await http.get(path)

    assert answer.status_code == status, answer.text
    if status != 200:
        assert set(answer.json()) == {"code", "status", "message"}


async def test_path_variables_win_over_the_body_and_parameters_bind_nested_fields(
    api: RunningApi, tenant: Tenant
) -> None:
    heard: list[Message] = []

    async def hear(_: Principal, request: Message) -> Message:
        heard.append(request)
        return Empty()

    rpcs = all_rpcs({"UpdateAccountAuditLogSink": hear, "GetUserGroups": hear})
    app = Starlette(routes=gateway_routes(rpcs, api.keys))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://api",
        headers={"authorization": f"Bearer {tenant.token}"},
    ) as http:
        await http.post(
            "/cloud/audit-log-sinks/mine",
            json={"spec": {"name": "theirs", "enabled": True}, "later": "ignored"},
        )
        await http.get(
            "/cloud/user-groups", params={"googleGroup.emailAddress": "a@b", "page_size": "5"}
        )

    assert [MessageToDict(request) for request in heard] == [
        {"spec": {"name": "mine", "enabled": True}},
        {"pageSize": 5, "googleGroup": {"emailAddress": "a@b"}},
    ]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000, b'{"spec": 1}'])
async def test_a_body_that_is_no_request_is_refused(tenant: Tenant, body: bytes) -> None:
    async with tenant.http() as http:
        answer = await http.post("/cloud/namespaces", content=body)

    assert answer.status_code == 400
    assert answer.json()["status"] == "INVALID_ARGUMENT"


async def test_no_route_is_open(tenant: Tenant) -> None:
    async with tenant.http() as http:
        http.headers.pop("authorization")
        for method, path in (
            ("GET", "/cloud/account"),
            ("POST", "/cloud/namespaces"),
            ("DELETE", f"/cloud/namespaces/orders.{tenant.account}"),
            ("GET", "/cloud/users"),
        ):
            assert (await http.request(method, path)).status_code == 401
            basic = {"authorization": f"Basic {tenant.token}"}
            assert (await http.request(method, path, headers=basic)).status_code == 401


def test_every_method_of_the_service_has_its_route(api: RunningApi) -> None:
    routes = gateway_routes(all_rpcs({}), api.keys)

    assert len({(route.path, *(route.methods or ())) for route in routes}) == len(SERVICE.methods)
