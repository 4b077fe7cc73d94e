from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from temporalio.api.cloud.cloudservice.v1 import GetAccountRequest, GetNamespaceRequest
from temporalio.service import RPCStatusCode

from controlplane.api import metrics
from controlplane.api.metrics import CallMetrics
from controlplane.identity.limits import set_limit
from controlplane.resource import Condition, ConditionStatus
from controlplane.store.projections import Projections
from provisioning.types import NamespaceLife
from tests.api.running import RunningApi, Tenant, create_request, running_api
from tests.api.test_namespaces import refused
from tests.eventually import eventually
from tests.postgres import RunningPostgres
from tests.store.views import NOW, namespace_view, operation

Samples = dict[tuple[str, ...], float]


async def scrape(tenant: Tenant) -> dict[str, Metric]:
    """Read the metrics with Prometheus' own parser."""
    async with tenant.http() as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def samples(family: Metric, *labels: str) -> Samples:
    """Return the values by these labels; a counter's and a histogram's own count only."""
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_sum", "_created"))
    }


async def test_calls_are_counted_and_timed_by_rpc_and_code(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    for _ in range(3):
        await service.get_account(GetAccountRequest())
    await refused(
        service.get_namespace(GetNamespaceRequest(namespace="absent.x")), RPCStatusCode.NOT_FOUND
    )
    async with tenant.http() as http:
        await http.get("/cloud/account")

    told = await scrape(tenant)

    assert samples(told["controlplane_api_calls"], "rpc", "code") == {
        ("GetAccount", "OK"): 4,
        ("GetNamespace", "NOT_FOUND"): 1,
    }
    assert samples(told["controlplane_api_call_duration_seconds"], "rpc") == {
        ("GetAccount",): 4,
        ("GetNamespace",): 1,
    }


async def test_calls_refused_for_a_rate_are_counted_by_its_limit(
    api: RunningApi, tenant: Tenant
) -> None:
    await set_limit(api.pool, tenant.account, "requests_per_second", 1)
    async with tenant.http() as http:
        while (await http.get("/cloud/account")).status_code == 200:
            pass
        await set_limit(api.pool, tenant.account, "requests_per_second", 1000)

        async def allowed_again() -> bool:
            answers = [await http.get("/cloud/account") for _ in range(3)]
            return all(answer.status_code == 200 for answer in answers)

        await eventually(allowed_again)

    told = await scrape(tenant)

    assert samples(told["controlplane_api_rate_limited"], "limit")[("requests_per_second",)] >= 1


async def test_namespaces_are_shown_with_their_expiries_and_conditions(
    api: RunningApi, tenant: Tenant
) -> None:
    projections = Projections(api.pool)
    view = namespace_view(f"orders.{tenant.account}", operations=(operation(),))
    expiring = Condition("CertificatesExpire", ConditionStatus.UNKNOWN, "NotLooked", 1, NOW)
    await projections.publish_namespace(
        replace(view, conditions=view.conditions | {expiring.type: expiring})
    )
    young = namespace_view(f"young.{tenant.account}", uid="uid-2", life=NamespaceLife.ACTIVATING)
    await projections.publish_namespace(
        replace(young, observed=replace(young.observed, certificate=None), conditions={})
    )
    await projections.publish_namespace(
        namespace_view(f"gone.{tenant.account}", uid="uid-3", life=NamespaceLife.DELETED)
    )

    told = await scrape(tenant)

    assert samples(told["controlplane_namespaces"], "state") == {
        ("ACTIVE",): 1,
        ("ACTIVATING",): 1,
    }
    assert samples(
        told["controlplane_certificate_expires_timestamp_seconds"], "namespace", "certificate"
    ) == {
        (view.id, "server"): (NOW + timedelta(days=90)).timestamp(),
        (view.id, "client_ca"): (NOW + timedelta(days=365)).timestamp(),
    }
    assert samples(told["controlplane_namespace_condition"], "namespace", "type", "status") == {
        (view.id, "Ready", "True"): 1,
        (view.id, "Ready", "False"): 0,
        (view.id, "Ready", "Unknown"): 0,
        (view.id, "CertificatesExpire", "True"): 0,
        (view.id, "CertificatesExpire", "False"): 0,
        (view.id, "CertificatesExpire", "Unknown"): 1,
    }
    assert samples(told["controlplane_operations_open"], "type") == {("CreateNamespace",): 1}
    assert samples(told["controlplane_namespaces_not_shown"]) == {(): 0}


async def test_an_account_sees_nothing_of_another(api: RunningApi, tenant: Tenant) -> None:
    await tenant.create("orders")
    shown = namespace_view(f"shown.{tenant.account}", operations=(operation(),))
    await Projections(api.pool).publish_namespace(shown)
    assert tenant.account in str(await scrape(tenant))
    stranger = await api.tenant()

    told = await scrape(stranger)

    named = {
        label for family in told.values() for s in family.samples for label in s.labels.values()
    }
    assert not any(tenant.account in label for label in named)
    assert samples(told["controlplane_namespaces"], "state") == {}
    assert samples(told["controlplane_api_calls"], "rpc", "code") == {}


async def test_more_namespaces_than_can_be_shown_are_counted(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_NAMESPACES", 2)
    for number in range(3):
        await tenant.create(f"orders-{number}")

    told = await scrape(tenant)

    assert samples(told["controlplane_namespaces_not_shown"]) == {(): 1}
    assert samples(told["controlplane_namespaces"], "state") == {("ACTIVATING",): 3}


async def test_without_a_key_there_are_no_metrics(api: RunningApi) -> None:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{api.ports.http}", trust_env=False
    ) as http:
        assert (await http.get("/metrics")).status_code == 401


async def test_what_the_control_plane_needs_is_shown(postgres: RunningPostgres) -> None:
    async with running_api(postgres) as api:
        tenant = await api.tenant()
        up = await scrape(tenant)
        api.writer.silent = True
        await refused(
            tenant.cloud.cloud_service.create_namespace(create_request("orders")),
            RPCStatusCode.UNAVAILABLE,
        )
        down = await scrape(tenant)
        await api.pool.close()
        async with tenant.http() as http:
            answer = await http.get("/metrics")

    assert samples(up["controlplane_engine_up"]) == {(): 1}
    assert samples(down["controlplane_engine_up"]) == {(): 0}
    assert samples(up["controlplane_database_up"]) == {(): 1}
    assert samples(down["controlplane_api_calls"], "rpc", "code") == {
        ("CreateNamespace", "UNAVAILABLE"): 1
    }
    assert answer.status_code == 503


def test_the_counters_of_a_bounded_number_of_accounts_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "MOST_ACCOUNTS", 3)
    counted = CallMetrics()

    for number in range(10):
        counted.of(f"account{number}")
        counted.of("account0").calls.labels("GetAccount", "OK").inc()

    assert len(counted._accounts) == 3
    assert "account0" in counted._accounts
