"""What one tenant's connection can reach, request by request. Nothing here is an SDK's doing."""

from collections.abc import AsyncIterator

import grpc
import pytest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    GetClusterInfoRequest,
    GetSystemInfoRequest,
    ListNamespacesRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)

from tests.cells.ingress.conftest import ORDERS, PAY
from tests.cells.ingress.small_cell import SmallCell, Tenant
from tests.cells.ingress.wire import SERVICE, Answer, RawChannel, raw_channel

DENIED = grpc.StatusCode.PERMISSION_DENIED


pytestmark = pytest.mark.usefixtures("pay")


@pytest.fixture
async def as_orders(cell: SmallCell, either: Tenant) -> AsyncIterator[RawChannel]:
    """A connection of ORDERS, in a cell where PAY is a tenant too."""
    async with raw_channel(cell, either) as channel:
        yield channel


async def describe(channel: RawChannel, body: bytes) -> Answer:
    return await channel.call(SERVICE + "DescribeNamespace", body)


def name_field(namespace: str) -> bytes:
    return b"\x0a" + bytes([len(namespace)]) + namespace.encode()


A, B = name_field(ORDERS), name_field(PAY)
UNKNOWN_GROUP = b"\xa3\x06\xa4\x06"
OVERLONG_B = b"\x8a\x80\x00" + B[1:]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(A, id="own"),
        pytest.param(B + A, id="another, then own: the last one counts"),
        pytest.param(A + UNKNOWN_GROUP, id="with a field the API does not know"),
    ],
)
async def test_a_request_for_its_own_namespace_is_served(
    as_orders: RawChannel, body: bytes
) -> None:
    answer = await describe(as_orders, body)

    described = DescribeNamespaceResponse.FromString(answer.body)
    assert (answer.code, described.namespace_info.name) == (grpc.StatusCode.OK, ORDERS)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(B, id="another"),
        pytest.param(b"", id="none"),
        pytest.param(name_field(""), id="empty"),
        pytest.param(name_field(ORDERS.upper()), id="other case"),
        pytest.param(name_field(ORDERS + "x"), id="longer"),
        pytest.param(name_field(ORDERS[:-1]), id="shorter"),
        pytest.param(b"\x12\x03abc", id="an id only"),
        pytest.param(A + B, id="own, then another"),
        pytest.param(A + UNKNOWN_GROUP + B, id="own, unknown group, another"),
        pytest.param(UNKNOWN_GROUP + B, id="unknown group, another"),
        pytest.param(name_field("") + B, id="empty, then another"),
        pytest.param(A + OVERLONG_B, id="own, then another under an over-long tag"),
        pytest.param(OVERLONG_B, id="another under an over-long tag"),
    ],
)
async def test_a_request_that_is_not_for_its_own_namespace_is_refused(
    as_orders: RawChannel, body: bytes
) -> None:
    answer = await describe(as_orders, body)

    assert answer.code in (DENIED, grpc.StatusCode.INVALID_ARGUMENT)
    assert answer.body == b""


async def test_what_is_no_message_the_server_refuses(as_orders: RawChannel) -> None:
    answer = await describe(as_orders, A + b"\x0a\xff")

    assert answer.code == grpc.StatusCode.INTERNAL


async def test_the_body_decides_and_not_a_header(as_orders: RawChannel) -> None:
    lie = [("temporal-namespace", PAY), ("x-ingress-inflate", "1"), ("x-namespace", PAY)]
    served = await as_orders.call(SERVICE + "DescribeNamespace", A, lie)
    lie = [("temporal-namespace", ORDERS), ("x-ingress-inflate", "1"), ("x-namespace", ORDERS)]
    refused = await as_orders.call(SERVICE + "DescribeNamespace", B, lie)

    assert (served.code, refused.code) == (grpc.StatusCode.OK, DENIED)


async def test_what_a_name_and_another_namespaces_id_is_for_the_server_refuses(
    cell: SmallCell, as_orders: RawChannel, pay: Tenant
) -> None:
    async with raw_channel(cell, pay) as as_pay:
        answer = await describe(as_pay, B)
    pay_uuid = DescribeNamespaceResponse.FromString(answer.body).namespace_info.id
    request = DescribeNamespaceRequest(namespace=ORDERS, id=pay_uuid)

    answer = await describe(as_orders, request.SerializeToString())

    assert answer.code != grpc.StatusCode.OK
    assert PAY.encode() not in answer.body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SERVICE + "GetSystemInfo", GetSystemInfoRequest().SerializeToString()),
        (SERVICE + "GetClusterInfo", GetClusterInfoRequest().SerializeToString()),
        ("/grpc.health.v1.Health/Check", b""),
    ],
)
async def test_what_concerns_no_namespace_is_open_to_every_tenant(
    as_orders: RawChannel, path: str, body: bytes
) -> None:
    assert (await as_orders.call(path, body)).code == grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SERVICE + "ListNamespaces", ListNamespacesRequest().SerializeToString()),
        (
            SERVICE + "RegisterNamespace",
            RegisterNamespaceRequest(namespace=ORDERS).SerializeToString(),
        ),
        (SERVICE + "UpdateNamespace", UpdateNamespaceRequest(namespace=ORDERS).SerializeToString()),
        (SERVICE + "DeprecateNamespace", A),
        (SERVICE + "GetSearchAttributes", b""),
        (SERVICE + "NoSuchMethod", A),
        ("/temporal.api.operatorservice.v1.OperatorService/DeleteNamespace", A),
        ("/temporal.api.operatorservice.v1.OperatorService/ListSearchAttributes", A),
        ("/temporal.api.operatorservice.v1.OperatorService/ListClusters", b""),
        ("/temporal.server.api.adminservice.v1.AdminService/DescribeCluster", b""),
        ("/temporal.server.api.historyservice.v1.HistoryService/GetShard", b""),
        ("/temporal.server.api.matchingservice.v1.MatchingService/GetTaskQueueTasks", b""),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b""),
        ("/grpc.health.v1.Health/Watch", b""),
    ],
)
async def test_what_is_not_a_tenants_is_denied(
    as_orders: RawChannel, path: str, body: bytes
) -> None:
    assert (await as_orders.call(path, body)).code == DENIED


@pytest.mark.parametrize(
    "path",
    [
        SERVICE + "GetSystemInfo/../DescribeNamespace",
        "/" + SERVICE + "DescribeNamespace",
        SERVICE + "/DescribeNamespace",
        SERVICE + "DescribeNamespace/",
        SERVICE + "Describe%4eamespace",
        SERVICE + "DescribeNamespace?x=1",
        SERVICE + "DescribeNamespace#x",
        SERVICE + "GetSystemInfo?x=/DescribeNamespace",
        SERVICE + "describeNamespace",
        SERVICE.upper() + "DescribeNamespace",
    ],
)
@pytest.mark.parametrize("body", [pytest.param(A, id="own"), pytest.param(B, id="another")])
async def test_an_unusual_path_leads_nowhere_else(
    as_orders: RawChannel, path: str, body: bytes
) -> None:
    answer = await as_orders.call(path, body)

    assert PAY.encode() not in answer.body
