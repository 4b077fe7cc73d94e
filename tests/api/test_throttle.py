import asyncio
import math
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from temporalio.api.cloud.cloudservice.v1 import GetAccountRequest
from temporalio.service import RPCStatusCode

from controlplane.api import throttle
from controlplane.api.throttle import Rate, Throttle, rates
from controlplane.identity.limits import DEFAULTS, set_limits
from controlplane.identity.types import (
    Access,
    Account,
    ApiKey,
    OwnerType,
    Principal,
    Role,
    ServiceAccount,
)
from controlplane.store.audit import AuditLog
from tests.api.running import RunningApi, Tenant, create_request
from tests.api.test_namespaces import refused

NOW = datetime(2026, 1, 2, tzinfo=UTC)
USER = Rate("user 1", "user_requests_per_second", 4)
ACCOUNT = Rate("account a", "requests_per_second", 10)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_of_a_seconds_worth_is_allowed_and_then_the_rate() -> None:
    clock = Clock()
    counting = Throttle(clock)

    assert [counting.take([USER]) for _ in range(4)] == [None] * 4
    assert counting.take([USER]) == USER
    clock.now += 0.25
    assert counting.take([USER]) is None
    assert counting.take([USER]) == USER
    clock.now += 60
    assert [counting.take([USER]) for _ in range(5)] == [None] * 4 + [USER]


def test_over_any_time_no_more_is_allowed_than_the_rate_and_one_burst() -> None:
    clock, chance = Clock(), random.Random(1)  # noqa: S311 - the same every time
    counting, began, allowed = Throttle(clock), clock.now, 0

    for _ in range(5000):
        clock.now += chance.expovariate(20)
        allowed += counting.take([USER]) is None
        assert allowed <= USER.per_second * (clock.now - began) + USER.per_second
    assert allowed >= math.floor(USER.per_second * (clock.now - began) * 0.95)


def test_a_call_that_is_refused_counts_towards_nothing() -> None:
    clock = Clock()
    counting = Throttle(clock)
    for _ in range(4):
        counting.take([USER, ACCOUNT])
    for _ in range(20):
        assert counting.take([USER, ACCOUNT]) == USER

    other = replace(USER, who="user 2")
    assert [counting.take([other, ACCOUNT]) for _ in range(4)] == [None] * 4
    third = replace(USER, who="user 3")
    assert [counting.take([third, ACCOUNT]) for _ in range(3)] == [None, None, ACCOUNT]


def test_whoever_waits_as_long_as_told_is_answered() -> None:
    clock = Clock()
    counting = Throttle(clock)
    while counting.take([USER]) is None:
        clock.now += 0.01

    clock.now += counting.wait(USER).total_seconds() + 1e-6

    assert counting.take([USER]) is None


def test_a_rate_that_is_lowered_counts_at_once() -> None:
    clock = Clock()
    counting = Throttle(clock)
    counting.take([replace(USER, per_second=100)])

    lowered = [counting.take([replace(USER, per_second=2)]) for _ in range(3)]

    assert [refusal is None for refusal in lowered] == [True, True, False]


def test_a_clock_that_stands_or_goes_back_gives_nothing_away() -> None:
    clock = Clock()
    counting = Throttle(clock)
    for _ in range(4):
        counting.take([USER])

    clock.now -= 10

    assert counting.take([USER]) == USER


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_BUCKETS", 100)
    counting = Throttle(Clock())

    allowed = [
        counting.take([replace(USER, who=f"user {number}"), ACCOUNT]) is None
        for number in range(1000)
    ]

    assert len(counting._buckets) == 100
    # The account's calls came all the time: what they had used up was not forgotten.
    assert sum(allowed) == ACCOUNT.per_second


def test_service_accounts_have_a_rate_of_their_own() -> None:
    machine = ServiceAccount("sa-1", "ci", "", Access(Role.READ), None, NOW, None, "1")
    key = ApiKey(
        "key-1", machine.id, OwnerType.SERVICE_ACCOUNT, "ci", "", False, NOW, NOW, None, "1"
    )
    caller = Principal(Account("acme1", "Acme", NOW), machine, key)

    assert [(rate.name, rate.per_second) for rate in rates(caller, DEFAULTS)] == [
        ("service_account_requests_per_second", 80),
        ("requests_per_second", 160),
    ]


async def exceed(tenant: Tenant) -> grpc.aio.AioRpcError:
    """Call until that is too much, and return the refusal."""
    for _ in range(50):
        try:
            await tenant.call("GetAccount", GetAccountRequest())
        except grpc.aio.AioRpcError as refusal:
            return refusal
    raise AssertionError("50 calls in a row were answered")


async def limited(api: RunningApi, **limits: int) -> Tenant:
    """Return a tenant with these limits."""
    tenant = await api.tenant()
    await set_limits(api.pool, tenant.account, limits)
    return tenant


async def test_calls_beyond_the_rate_are_refused_with_a_time_to_come_back(api: RunningApi) -> None:
    tenant = await limited(api, user_requests_per_second=1)

    refusal = await exceed(tenant)

    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "makes more than 1 calls a second (user_requests_per_second)" in str(refusal.details())
    assert "the fleet's operators can raise it" in str(refusal.details())
    trailers = dict(refusal.trailing_metadata() or ())
    status = Status.FromString(bytes(trailers["grpc-status-details-bin"]))
    assert (status.code, status.message) == (8, refusal.details())
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    wait = retry.retry_delay.ToTimedelta()
    assert timedelta(0) < wait <= timedelta(seconds=1)
    await asyncio.sleep(wait.total_seconds() + 0.05)
    await tenant.call("GetAccount", GetAccountRequest())


@pytest.mark.parametrize("path", ["/cloud/account", "/fleet/v1/account/limits", "/metrics"])
async def test_over_http_the_time_to_come_back_is_a_header(api: RunningApi, path: str) -> None:
    tenant = await limited(api, requests_per_second=1)

    async with tenant.http() as http:
        for _ in range(50):
            answer = await http.get(path)
            if answer.status_code != 200:
                break

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert "requests_per_second" in answer.json()["message"]


async def test_one_accounts_calls_do_not_count_for_another(api: RunningApi, tenant: Tenant) -> None:
    await exceed(await limited(api, requests_per_second=1))

    await tenant.call("GetAccount", GetAccountRequest())


async def test_a_change_beyond_the_rate_is_not_even_recorded(api: RunningApi) -> None:
    tenant = await limited(api, user_requests_per_second=1)
    await exceed(tenant)

    told = await refused(
        tenant.cloud.cloud_service.create_namespace(create_request("orders")),
        RPCStatusCode.RESOURCE_EXHAUSTED,
    )

    assert "calls a second" in told
    assert await AuditLog(api.pool).read(tenant.account, limit=10) == []


async def test_operations_beyond_the_limit_are_refused_until_one_has_finished(
    api: RunningApi,
) -> None:
    tenant = await limited(api, operations_at_once=2)
    service = tenant.cloud.cloud_service
    first = await tenant.create("orders-1")
    await service.create_namespace(create_request("orders-2", "op-2"))

    told = await refused(
        service.create_namespace(create_request("orders-3", "op-3")),
        RPCStatusCode.RESOURCE_EXHAUSTED,
    )

    assert "has 2 operations open, and its limit is 2 at once (operations_at_once)" in told
    # The same request again begins nothing, so it is answered.
    await service.create_namespace(create_request("orders-2", "op-2"))
    await api.settle(first)
    await service.create_namespace(create_request("orders-3", "op-3"))


async def test_of_many_operations_begun_at_once_no_more_than_the_limit_are_let_through(
    api: RunningApi,
) -> None:
    tenant = await limited(api, operations_at_once=3)

    answers = await asyncio.gather(
        *(tenant.create(f"orders-{number}") for number in range(12)), return_exceptions=True
    )

    assert sum(isinstance(answer, str) for answer in answers) == 3
    assert all("operations_at_once" in str(a) for a in answers if not isinstance(a, str))


async def test_namespaces_beyond_the_limit_are_refused(api: RunningApi) -> None:
    tenant = await limited(api, namespaces=2)

    answers = await asyncio.gather(
        *(tenant.create(f"orders-{number}") for number in range(6)), return_exceptions=True
    )

    assert sum(isinstance(answer, str) for answer in answers) == 2
    told = [str(answer) for answer in answers if not isinstance(answer, str)]
    assert all("has 2 namespaces, and its limit is 2 (namespaces)" in each for each in told)
