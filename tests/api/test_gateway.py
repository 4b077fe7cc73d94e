import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from controlplane.api.calls import SERVICE
from controlplane.api.gateway import LARGEST_BODY
from controlplane.api.http.requests import fields_of_body, fields_of_query, request_of
from controlplane.api.http.rules import Routes, http_rule
from controlplane.errors import ErrorType
from tests.api.running import CLIENT_CA, RunningApi, Tenant, declared
from tests.store.views import REGION

ROUTES = Routes((http_rule(method), method.name) for method in SERVICE.methods)
NAMES = ["spec", "name", "namespace", "expiryTime", "pageSize", "searchAttributes", "replicas"]
"""Of fields, for random requests to find some."""


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


# research: the routes of the Cloud Ops API that its clients cannot do without.
MUST = """
GetCurrentIdentity                    GET /cloud/current-identity
GetAccount                            GET /cloud/account
UpdateAccount                         POST /cloud/account
GetAsyncOperation                     GET /cloud/operations/{async_operation_id}
GetRegions                            GET /cloud/regions
GetRegion                             GET /cloud/regions/{region}
GetNamespaces                         GET /cloud/namespaces
CreateNamespace                       POST /cloud/namespaces
GetNamespace                          GET /cloud/namespaces/{namespace}
UpdateNamespace                       POST /cloud/namespaces/{namespace}
DeleteNamespace                       DELETE /cloud/namespaces/{namespace}
RenameCustomSearchAttribute           POST /cloud/namespaces/{namespace}/rename-custom-search-attribute
FailoverNamespaceRegion               POST /cloud/namespaces/{namespace}/failover-region
AddNamespaceRegion                    POST /cloud/namespaces/{namespace}/add-region
DeleteNamespaceRegion                 DELETE /cloud/namespaces/{namespace}/regions/{region}
UpdateNamespaceTags                   POST /cloud/namespaces/{namespace}/update-tags
GetApiKeys                            GET /cloud/api-keys
CreateApiKey                          POST /cloud/api-keys
GetApiKey                             GET /cloud/api-keys/{key_id}
UpdateApiKey                          POST /cloud/api-keys/{key_id}
DeleteApiKey                          DELETE /cloud/api-keys/{key_id}
GetUsers                              GET /cloud/users
CreateUser                            POST /cloud/users
GetUser                               GET /cloud/users/{user_id}
UpdateUser                            POST /cloud/users/{user_id}
DeleteUser                            DELETE /cloud/users/{user_id}
SetUserNamespaceAccess                POST /cloud/namespaces/{namespace}/users/{user_id}/access
GetUserNamespaceAssignments           GET /cloud/namespaces/{namespace}/user-assignments
GetServiceAccounts                    GET /cloud/service-accounts
CreateServiceAccount                  POST /cloud/service-accounts
GetServiceAccount                     GET /cloud/service-accounts/{service_account_id}
UpdateServiceAccount                  POST /cloud/service-accounts/{service_account_id}
DeleteServiceAccount                  DELETE /cloud/service-accounts/{service_account_id}
SetServiceAccountNamespaceAccess      POST /cloud/namespaces/{namespace}/service-accounts/{service_account_id}/access
GetServiceAccountNamespaceAssignments GET /cloud/namespaces/{namespace}/service-account-assignments
GetUserGroups                         GET /cloud/user-groups
CreateUserGroup                       POST /cloud/user-groups
GetUserGroup                          GET /cloud/user-groups/{group_id}
UpdateUserGroup                       POST /cloud/user-groups/{group_id}
DeleteUserGroup                       DELETE /cloud/user-groups/{group_id}
SetUserGroupNamespaceAccess           POST /cloud/namespaces/{namespace}/user-groups/{group_id}/access
AddUserGroupMember                    POST /cloud/user-groups/{group_id}/members
GetUserGroupMembers                   GET /cloud/user-groups/{group_id}/members
RemoveUserGroupMember                 POST /cloud/user-groups/{group_id}/remove-member
GetUserGroupNamespaceAssignments      GET /cloud/namespaces/{namespace}/user-group-assignments
"""  # noqa: E501 - a table


@pytest.mark.parametrize("line", MUST.strip().splitlines())
def test_each_route_leads_to_its_method_and_fills_the_fields_it_names(line: str) -> None:
    name, verb, template = line.split()
    asked = re.sub(r"{(\w+)}", r"the.\1", template)

    found = ROUTES.find(asked)

    assert found is not None
    rule, method = found.by_verb[verb]
    assert method == name
    request = request_of(
        SERVICE.methods_by_name[name].input_type, {}, zip(rule.variables, found.values, strict=True)
    )
    variables = re.findall(r"{(\w+)}", template)
    assert {field.name: value for field, value in request.ListFields()} == {
        variable: f"the.{variable}" for variable in variables
    }
    assert rule.has_body == (verb == "POST")


def test_every_method_of_the_service_has_its_route() -> None:
    rules = [http_rule(method) for method in SERVICE.methods]

    assert len({(rule.verb, rule.template) for rule in rules}) == len(SERVICE.methods)
    for rule in rules:
        found = ROUTES.find(rule.template)
        assert found is not None
        assert rule.verb in found.by_verb


@pytest.mark.parametrize(
    ("rpc", "path", "said", "read"),
    [
        (
            "UpdateAccountAuditLogSink",
            {"spec.name": "mine"},
            {"spec": {"name": "theirs", "enabled": True}, "later": "ignored"},
            {"spec": {"name": "mine", "enabled": True}},
        ),
        (
            "UpdateNamespace",
            {"namespace": "orders.acme1"},
            {"namespace": "pay.acme1", "resourceVersion": "7", "async_operation_id": "op"},
            {"namespace": "orders.acme1", "resourceVersion": "7", "asyncOperationId": "op"},
        ),
        (
            # Enums by name and by number, bytes as base64, of the URL kind, too.
            "CreateNamespace",
            {},
            {
                "spec": {
                    "searchAttributes": {"A": 2, "B": "SEARCH_ATTRIBUTE_TYPE_INT"},
                    "mtlsAuth": {"acceptedClientCa": "-_-_"},
                }
            },
            {
                "spec": {
                    "searchAttributes": {
                        "A": "SEARCH_ATTRIBUTE_TYPE_KEYWORD",
                        "B": "SEARCH_ATTRIBUTE_TYPE_INT",
                    },
                    "mtlsAuth": {"acceptedClientCa": "+/+/"},
                }
            },
        ),
        (
            "CreateApiKey",
            {},
            {"spec": {"expiryTime": "2026-01-02T04:04:05+01:00", "ownerType": "OWNER_TYPE_USER"}},
            {"spec": {"expiryTime": "2026-01-02T03:04:05Z", "ownerType": "OWNER_TYPE_USER"}},
        ),
        ("GetNamespaces", {}, {"pageSize": "5", "name": None}, {"pageSize": 5}),
    ],
)
def test_a_request_is_what_path_and_body_say_in_the_json_of_protobuf(
    rpc: str, path: dict[str, str], said: dict[str, object], read: dict[str, object]
) -> None:
    request = request_of(SERVICE.methods_by_name[rpc].input_type, said, path.items())

    assert MessageToDict(request) == read


@pytest.mark.parametrize(
    ("rpc", "query", "read"),
    [
        (
            "GetUserGroups",
            "googleGroup.emailAddress=a@b&page_size=5",
            {"googleGroup": {"emailAddress": "a@b"}, "pageSize": 5},
        ),
        (
            "GetAuditLogs",
            "start_time_inclusive=2026-01-02T03:04:05Z&endTimeExclusive=2026-01-03T00:00:00%2B01:00",
            {
                "startTimeInclusive": "2026-01-02T03:04:05Z",
                "endTimeExclusive": "2026-01-02T23:00:00Z",
            },
        ),
        (
            "GetApiKeys",
            "ownerType=OWNER_TYPE_SERVICE_ACCOUNT&ownerId=%C3%A9",
            {"ownerType": "OWNER_TYPE_SERVICE_ACCOUNT", "ownerId": "é"},
        ),
        ("GetApiKeys", "ownerType=1", {"ownerType": "OWNER_TYPE_USER"}),
        ("DeleteNamespace", "resourceVersion=3&async_operation_id=op",
         {"resourceVersion": "3", "asyncOperationId": "op"}),
        ("GetNamespaces", "", {}),
        ("GetNamespaces", "name=", {}),
    ],
)  # fmt: skip
def test_query_parameters_set_fields_also_nested_ones(
    rpc: str, query: str, read: dict[str, object]
) -> None:
    kind = SERVICE.methods_by_name[rpc].input_type

    assert MessageToDict(request_of(kind, fields_of_query(kind, query), ())) == read


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    rpc=st.sampled_from(sorted(SERVICE.methods_by_name)),
    said=st.dictionaries(st.sampled_from(NAMES) | st.text(), JSON, max_size=5),
    query=st.text(),
)
def test_whatever_is_sent_is_read_or_an_invalid_argument(
    rpc: str, said: dict[str, object], query: str
) -> None:
    kind = SERVICE.methods_by_name[rpc].input_type

    with refusals_expected():
        request_of(kind, fields_of_body(json.dumps(said).encode()), ())
    with refusals_expected():
        request_of(kind, fields_of_query(kind, query), ())


@contextmanager
def refusals_expected() -> Iterator[None]:
    """Let requests be refused; any other exception goes on."""
    try:
        yield
    except ApplicationError as refusal:
        if refusal.type != ErrorType.INVALID_ARGUMENT:
            raise


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
