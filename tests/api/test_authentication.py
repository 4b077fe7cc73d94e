from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health_pb2
from temporalio.client import CloudOperationsClient

from controlplane.api.authentication import OPEN_METHODS
from controlplane.api.calls import SERVICE
from controlplane.identity.permissions import TABLE
from controlplane.identity.tokens import TokenClaims
from tests.api.running import Metadata, RunningApi, Tenant, bearer

# Every method of the service, those that we do not implement and one that nobody does.
EVERY_RPC = [*SERVICE.methods_by_name, "NoSuchMethod"]
# An RPC that has a handler and no row in the table of permissions would be refused to everybody.
LATER = {action for action in EVERY_RPC if action not in TABLE}


async def _none(_: Tenant) -> Metadata:
    return ()


async def _not_bearer(tenant: Tenant) -> Metadata:
    return (("authorization", f"Basic {tenant.token}"),)


async def _bare(tenant: Tenant) -> Metadata:
    return (("authorization", tenant.token),)


async def _nonsense(_: Tenant) -> Metadata:
    return bearer("nonsense")


async def _revoked(tenant: Tenant) -> Metadata:
    key = await tenant.owner.key()
    await tenant.api.keys.revoke(tenant.account, key.id)
    return bearer(key.token)


async def _disabled(tenant: Tenant) -> Metadata:
    key = await tenant.owner.key()
    await tenant.api.keys.set_disabled(tenant.account, key.id, True)
    return bearer(key.token)


async def _expired(tenant: Tenant) -> Metadata:
    key = await tenant.owner.key()
    past = datetime.now(UTC) - timedelta(seconds=1)
    return bearer(tenant.api.keys.signer.sign(TokenClaims(key.id, tenant.account, past)))


async def _moved_to_another_account(tenant: Tenant) -> Metadata:
    stranger, key = await tenant.api.tenant(), await tenant.owner.key()
    claims = TokenClaims(key.id, stranger.account, key.expires_at)
    return bearer(tenant.api.keys.signer.sign(claims))


async def code_of(api: RunningApi, rpc: str, metadata: Metadata) -> tuple[grpc.StatusCode, str]:
    """Return how a call with an empty request ends."""
    try:
        await api.call(f"/{SERVICE.full_name}/{rpc}", Empty(), metadata)
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


@pytest.mark.parametrize(
    "credentials",
    [
        _none,
        _not_bearer,
        _bare,
        _nonsense,
        _revoked,
        _disabled,
        _expired,
        _moved_to_another_account,
    ],
)
async def test_without_a_valid_key_every_method_is_refused_in_the_same_words(
    tenant: Tenant, credentials: Callable[[Tenant], Awaitable[Metadata]]
) -> None:
    metadata = await credentials(tenant)

    answers = {await code_of(tenant.api, rpc, metadata) for rpc in EVERY_RPC}

    assert len(answers) == 1
    code, told = answers.pop()
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert told.startswith("no valid API key: send the header `authorization: Bearer <API key>`")


async def test_what_has_no_row_among_the_permissions_is_not_implemented_and_says_so(
    tenant: Tenant,
) -> None:
    for rpc in EVERY_RPC:
        code, told = await code_of(tenant.api, rpc, bearer(tenant.token))
        if rpc not in LATER:
            assert code is not grpc.StatusCode.UNIMPLEMENTED, rpc
        else:
            assert (code, told) == (
                grpc.StatusCode.UNIMPLEMENTED,
                f"{rpc} is not implemented by this control plane",
            )


async def test_a_key_stops_counting_in_the_middle_of_a_connection(
    api: RunningApi, tenant: Tenant
) -> None:
    key = await tenant.owner.key()
    metadata = bearer(key.token)
    assert (await code_of(api, "GetAccount", metadata))[0] is grpc.StatusCode.OK

    await api.keys.revoke(tenant.account, key.id)

    assert (await code_of(api, "GetAccount", metadata))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_nobody_needs_a_key_to_ask_for_health(api: RunningApi) -> None:
    answer = await api.call("/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest())

    assert (
        health_pb2.HealthCheckResponse.FromString(answer).status
        == health_pb2.HealthCheckResponse.SERVING
    )


async def test_an_sdk_client_connects_before_its_key_is_looked_at(api: RunningApi) -> None:
    await CloudOperationsClient.connect(
        api_key="nonsense", target_host=f"127.0.0.1:{api.ports.grpc}", tls=False
    )


async def test_services_that_are_not_served_need_a_key_too(tenant: Tenant) -> None:
    for metadata, code in (
        ((), grpc.StatusCode.UNAUTHENTICATED),
        (bearer(tenant.token), grpc.StatusCode.UNIMPLEMENTED),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await tenant.api.call("/some.Service/Method", Empty(), metadata)
        assert refusal.value.code() is code


def test_the_methods_open_to_all_are_these_and_no_others() -> None:
    assert {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo",
    } == OPEN_METHODS
