import httpx
import pytest
from pydantic import TypeAdapter
from temporalio.api.cloud.cloudservice.v1 import CreateNamespaceRequest

from cells.types import CellView
from controlplane.api.fleet_types import NamespaceDetails, OperationDetails
from controlplane.store.projections import Projections
from provisioning.types import NamespaceLife, Operation, OperationState
from tests.api.running import RunningApi, Tenant, create_request, declared, running_api
from tests.postgres import RunningPostgres
from tests.store.views import CELL, namespace_view, operation

PATHS = ["/fleet/v1/cells", "/fleet/v1/namespaces/orders.acme1", "/fleet/v1/operations/op-1"]


async def test_a_namespace_is_explained(api: RunningApi, tenant: Tenant) -> None:
    view = namespace_view(f"orders.{tenant.account}", operations=(operation(),))
    await Projections(api.pool).publish_namespace(view)

    async with tenant.http() as http:
        answer = await http.get(f"/fleet/v1/namespaces/{view.id}")

    details = TypeAdapter(NamespaceDetails).validate_json(answer.content)
    assert (details.id, details.cell, details.life) == (view.id, CELL, NamespaceLife.ACTIVE)
    assert details.endpoint == f"{view.id}.fleet.test:7002"
    assert details.placement == view.observed.placement
    assert details.conditions == tuple(view.conditions.values())
    assert details.certificate == view.observed.certificate
    assert details.operations == view.operations


async def test_neither_the_spec_nor_references_to_secrets_are_shown(
    api: RunningApi, tenant: Tenant
) -> None:
    spec = declared("orders")
    spec.codec_server.endpoint = "https://codec.example.com/?key=s3cr3t"
    await tenant.cloud.cloud_service.create_namespace(CreateNamespaceRequest(spec=spec))

    async with tenant.http() as http:
        answer = await http.get(f"/fleet/v1/namespaces/orders.{tenant.account}")

    assert answer.status_code == 200
    stored = await api.reads.namespace(tenant.account, f"orders.{tenant.account}")
    assert stored is not None
    for hidden in (stored.spec.declaration, "credential", "s3cr3t", "PRIVATE KEY"):
        assert hidden not in answer.text


async def test_an_operation_is_explained_step_by_step(api: RunningApi, tenant: Tenant) -> None:
    failed = operation("op-steps", state=OperationState.FAILED)
    view = namespace_view(f"orders.{tenant.account}", operations=(failed,))
    await Projections(api.pool).publish_namespace(view)

    async with tenant.http() as http:
        answer = await http.get("/fleet/v1/operations/op-steps")

    details = TypeAdapter(OperationDetails).validate_json(answer.content)
    assert details.namespace == view.id
    assert TypeAdapter(Operation).validate_json(answer.content) == failed


async def test_cells_are_listed(operator: Tenant) -> None:
    async with operator.http() as http:
        answer = await http.get("/fleet/v1/cells")

    cells = TypeAdapter(list[CellView]).validate_json(answer.content)
    assert [cell.id for cell in cells] == ["aws-us-east-1-c1", "aws-us-west-2-c1", "synthetic-c0"]


async def test_another_account_sees_nothing(api: RunningApi, tenant: Tenant) -> None:
    created = await tenant.cloud.cloud_service.create_namespace(create_request("orders", "op-9"))
    stranger = await api.tenant()

    async with stranger.http() as http:
        answers = [
            await http.get(f"/fleet/v1/namespaces/{created.namespace}"),
            await http.get("/fleet/v1/operations/op-9"),
        ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == {
        "code": 5,
        "status": "NOT_FOUND",
        "message": f"namespace {created.namespace!r} not found",
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic b2xnYQ=="])
async def test_without_a_valid_key_nothing_is_answered(
    tenant: Tenant, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{tenant.api.ports.http}", headers=headers, trust_env=False
    ) as http:
        answer = await http.get(path)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["status"] == "UNAUTHENTICATED"
    assert "authorization: Bearer" in answer.json()["message"]


async def test_an_unknown_path_says_where_the_known_ones_are(tenant: Tenant) -> None:
    async with tenant.http() as http:
        answer = await http.get("/fleet/v2/cells")

    assert answer.status_code == 404
    assert answer.json()["message"] == "GET /fleet/v2/cells: Not Found; see /openapi.json"


async def test_the_api_describes_itself_and_its_health_without_a_key(api: RunningApi) -> None:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{api.ports.http}", trust_env=False
    ) as http:
        document = (await http.get("/openapi.json")).json()
        healthy = await http.get("/healthz")

    assert {"/healthz", "/fleet/v1/cells", "/fleet/v1/namespaces/{namespace}"} <= set(
        document["paths"]
    )
    for path, methods in document["paths"].items():
        for method in methods.values():
            assert "security" in method or not path.startswith("/fleet/"), path
    assert healthy.json() == {"status": "ok"}


async def test_without_its_database_the_api_is_not_healthy(postgres: RunningPostgres) -> None:
    async with running_api(postgres) as api:
        await api.pool.close()
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{api.ports.http}", trust_env=False
        ) as http:
            answer = await http.get("/healthz")

    assert answer.status_code == 503
    assert answer.json()["status"] == "UNAVAILABLE"
