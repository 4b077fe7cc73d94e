import pytest
from temporalio.api.cloud.account.v1 import AccountSpec, MetricsSpec
from temporalio.api.cloud.cloudservice.v1 import GetAccountRequest, UpdateAccountRequest
from temporalio.service import RPCStatusCode

from controlplane.local.account import LIMITS
from controlplane.store.audit import AuditLog
from tests.api.running import CLIENT_CA, RunningApi, Tenant, create_request
from tests.api.test_namespaces import refused
from tests.eventually import eventually

LIMITS_PATH = "/fleet/v1/account/limits"


async def test_an_account_says_nothing_of_metrics_that_nobody_serves(tenant: Tenant) -> None:
    told = await tenant.cloud.cloud_service.get_account(GetAccountRequest())

    assert told.account.id == tenant.account
    assert not told.account.spec.HasField("metrics")
    assert not told.account.HasField("metrics")


@pytest.mark.parametrize(
    ("request_", "code", "told"),
    [
        (UpdateAccountRequest(), RPCStatusCode.INVALID_ARGUMENT, "nothing to change"),
        (
            UpdateAccountRequest(spec=AccountSpec(), resource_version="1"),
            RPCStatusCode.INVALID_ARGUMENT,
            "nothing to change",
        ),
        (
            UpdateAccountRequest(resource_version="7"),
            RPCStatusCode.FAILED_PRECONDITION,
            "is at resource_version '1', not at '7'",
        ),
        (
            UpdateAccountRequest(
                spec=AccountSpec(metrics=MetricsSpec(accepted_client_ca=CLIENT_CA))
            ),
            RPCStatusCode.FAILED_PRECONDITION,
            "scrape GET /metrics of the HTTP API with an API key",
        ),
    ],
    ids=["empty", "the same", "another version", "metrics"],
)
async def test_an_update_is_refused_with_a_reason(
    tenant: Tenant, request_: UpdateAccountRequest, code: RPCStatusCode, told: str
) -> None:
    assert told in await refused(tenant.cloud.cloud_service.update_account(request_), code)


async def test_operators_set_the_limits_of_any_account_and_it_reads_them(
    operator: Tenant, tenant: Tenant
) -> None:
    path = f"/fleet/v1/accounts/{tenant.account}/limits"
    async with operator.http() as http:
        before = (await http.get(path)).json()
        changed = await http.put(path, json={"namespaces": 1, "operations_at_once": None})
    async with tenant.http() as http:
        after = (await http.get(LIMITS_PATH)).json()

    assert {name: before[name] for name in LIMITS} == LIMITS
    assert changed.status_code == 200
    assert changed.json() == after
    assert after == before | {"namespaces": 1, "operations_at_once": 10}

    # It counts, at the latest after seconds.
    await tenant.create("orders")
    told = await refused(
        tenant.cloud.cloud_service.create_namespace(create_request("bills")),
        RPCStatusCode.FAILED_PRECONDITION,
    )
    assert "its limit is 1 (namespaces)" in told


async def test_nobody_else_sets_limits_not_even_its_own(operator: Tenant, tenant: Tenant) -> None:
    async with tenant.http() as http:
        for path in (
            LIMITS_PATH,
            *(f"/fleet/v1/accounts/{each.account}/limits" for each in (tenant, operator)),
        ):
            answer = await http.put(path, json={"namespaces": 2})
            assert answer.status_code == 403
            assert "is for the fleet's operators" in answer.json()["message"]


@pytest.mark.parametrize("account", ["nobody", "%00", "a/b"])
async def test_an_account_that_is_not_there_has_no_limits(operator: Tenant, account: str) -> None:
    path = f"/fleet/v1/accounts/{account}/limits"
    async with operator.http() as http:
        answers = [await http.get(path), await http.put(path, json={"namespaces": 2})]

    assert {answer.status_code for answer in answers} <= {400, 404}


async def test_a_change_of_limits_is_recorded_with_what_was_before(
    api: RunningApi, operator: Tenant
) -> None:
    async with operator.http() as http:
        await http.put(LIMITS_PATH, json={"namespaces": 5}, headers={"x-forwarded-for": "10.1.2.3"})
        await http.put(LIMITS_PATH, json={"namespaces": 5})
        await http.put(LIMITS_PATH, json={"nonsense": 5})

    records = [record.entry for record in await AuditLog(api.pool).read(operator.account, limit=10)]
    assert [(entry.what, entry.status) for entry in records] == [
        ("fleet.account-limits.write", "OK"),
        ("fleet.account-limits.write", "OK"),
        ("fleet.account-limits.write", "INVALID_ARGUMENT"),
    ]
    first = records[0]
    assert first.details["request"] == {"account": operator.account, "limits": {"namespaces": 5}}
    assert first.forwarded_for == "10.1.2.3"
    before, after = first.details["before"], first.details["after"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (before["namespaces"], after["namespaces"]) == (1000, 5)


async def test_an_account_with_all_its_operations_open_can_still_be_given_more(
    api: RunningApi,
) -> None:
    tenant = await api.tenant(operator=True)
    async with tenant.http() as http:
        await http.put(LIMITS_PATH, json={"operations_at_once": 1})
        await tenant.create("orders")
        changed = await http.put(LIMITS_PATH, json={"operations_at_once": 2})

    assert changed.status_code == 200, changed.text

    async def counts() -> bool:
        return bool(await tenant.create("bills"))

    await eventually(counts)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"nonsense": 5}, "there is no account limit 'nonsense': the limits are"),
        ({"namespaces": 0}, "namespaces cannot be 0: send 1 to 1000000, or null for the default"),
        ({"namespaces": "many"}, "valid integer"),
        ([], "valid dictionary"),
    ],
)
async def test_limits_that_make_no_sense_are_refused(
    operator: Tenant, body: object, told: str
) -> None:
    async with operator.http() as http:
        answer = await http.put(LIMITS_PATH, json=body)

    assert answer.status_code == 400
    assert answer.json()["status"] == "INVALID_ARGUMENT"
    assert told in answer.json()["message"]
