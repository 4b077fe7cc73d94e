import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from controlplane.api.calls import SERVICE
from controlplane.api.http.requests import fields_of_body, fields_of_query, request_of
from controlplane.api.http.rules import Routes, http_rule
from controlplane.errors import ErrorType

ROUTES = Routes((http_rule(method), method.name) for method in SERVICE.methods)
NAMES = ["spec", "name", "namespace", "expiryTime", "pageSize", "searchAttributes", "replicas"]
"""Of fields, for random requests to find some."""

# The routes that clients of the Cloud Ops API cannot do without.
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
