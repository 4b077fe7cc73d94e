"""Replicas over the Fleet API: where they are, failing over with a mode, moving to another cell."""

from dataclasses import replace

import httpx
import pytest
from pydantic import JsonValue, TypeAdapter

from controlplane.api.fleet_types import OperationDetails
from controlplane.api.replica_states import ReplicaState
from controlplane.api.replica_types import MigrationUnderWay, NamespaceReplicas
from controlplane.identity.types import Permission, Role
from controlplane.store.audit import AuditLog
from controlplane.store.availability import AvailabilityProjections
from controlplane.store.projections import Projections
from controlplane.store.replication import ReplicationLinks
from provisioning.types import (
    FailoverCause,
    FailoverMode,
    NamespaceView,
    OperationKind,
    OperationState,
    PassiveReplica,
    ReplicaChange,
    ReplicaChangeKind,
    ReplicaProgress,
)
from tests.api.colleagues import colleague
from tests.api.running import RunningApi, Tenant
from tests.store.replica_views import availability_view, link
from tests.store.views import CELL, NOW, REGION, passive_replica

OTHER, OTHER_CELL = "aws-us-west-2", "aws-us-west-2-c1"
_OPERATION = TypeAdapter(OperationDetails)
_REPLICAS = TypeAdapter(NamespaceReplicas)
_MIGRATIONS = TypeAdapter(list[MigrationUnderWay])


async def pair(api: RunningApi, tenant: Tenant) -> str:
    """Return a namespace with a replica in each of two regions."""
    namespace = await tenant.create("orders")
    state = api.writer.namespaces[namespace]
    assert state.spec is not None
    state.spec = replace(state.spec, replicas=(REGION, OTHER))
    await api.settle(namespace)
    return namespace


async def ask(tenant: Tenant, namespace: str, path: str, **body: JsonValue) -> httpx.Response:
    async with tenant.http() as http:
        return await http.post(f"/fleet/v1/namespaces/{namespace}/{path}", json=body)


async def begun(tenant: Tenant, namespace: str, path: str, **body: JsonValue) -> OperationDetails:
    answer = await ask(tenant, namespace, path, **body)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return _OPERATION.validate_json(answer.content)


async def told(tenant: Tenant, namespace: str) -> NamespaceReplicas:
    async with tenant.http() as http:
        answer = await http.get(f"/fleet/v1/namespaces/{namespace}/replicas")
    assert answer.status_code == httpx.codes.OK, answer.text
    return _REPLICAS.validate_json(answer.content)


async def under_way(
    api: RunningApi, namespace: str, kind: ReplicaChangeKind, **more: object
) -> NamespaceView:
    """Let the entity publish that its replicas are being changed."""
    state = api.writer.namespaces[namespace]
    change = ReplicaChange("7", kind, "op-7", CELL, "aws-us-east-1-c2", REGION, NOW)
    state.change = replace(change, **more)  # type: ignore[arg-type]
    state.wanted_changes = []
    view = api.writer.published(namespace)
    await Projections(api.pool).publish_namespace(view)
    return view


async def audited(api: RunningApi, account: str, what: str) -> list[dict[str, JsonValue]]:
    records = [each.entry for each in await AuditLog(api.pool).read(account, limit=100)]
    return [dict(entry.details) for entry in records if entry.what == what]


async def test_where_the_replicas_are_and_how_far_they_are_behind_is_told(
    api: RunningApi, tenant: Tenant
) -> None:
    namespace = await pair(api, tenant)
    await ReplicationLinks(api.pool).publish_links(OTHER_CELL, [link(OTHER_CELL, CELL)])

    found = await told(tenant, namespace)

    active, passive = found.replicas
    assert (active.region, active.cell, active.is_active) == (REGION, CELL, True)
    assert (passive.region, passive.state) == (OTHER, ReplicaState.PASSIVE)
    assert passive.lag is not None
    assert passive.lag.total_seconds() == 1.5
    assert found.wanted == (REGION, OTHER)
    assert found.words[0] == f"{namespace} is active in {REGION} (cell {CELL})."
    assert "was 1.50 s behind at 03:04:05 UTC" in found.words[1]


@pytest.mark.parametrize("mode", FailoverMode)
async def test_a_failover_has_the_mode_that_was_asked_for(
    api: RunningApi, tenant: Tenant, mode: FailoverMode
) -> None:
    namespace = await pair(api, tenant)
    asked: dict[str, JsonValue] = {"region": OTHER, "mode": mode, "reason": "a test"}

    first = await begun(tenant, namespace, "failovers", operation_id="op-f", **asked)
    again = await begun(tenant, namespace, "failovers", operation_id="op-f", **asked)

    assert first == again
    assert first.kind is OperationKind.FAIL_OVER
    (wanted,) = api.writer.namespaces[namespace].wanted_changes
    assert (wanted.mode, wanted.cause, wanted.target) == (mode, FailoverCause.MANUAL, OTHER_CELL)
    assert wanted.reason == "a test"


async def test_a_failover_goes_to_a_region_or_to_a_cell(api: RunningApi, tenant: Tenant) -> None:
    namespace = await pair(api, tenant)

    neither = await ask(tenant, namespace, "failovers")
    both = await ask(tenant, namespace, "failovers", region=OTHER, cell=OTHER_CELL)
    by_cell = await begun(tenant, namespace, "failovers", cell=OTHER_CELL)

    for refused in (neither, both):
        assert refused.status_code == httpx.codes.BAD_REQUEST
        assert "send one of `region` and `cell`" in refused.json()["message"]
    assert by_cell.state is OperationState.PENDING


async def test_what_a_failover_is_for_is_for_operators_to_say(
    api: RunningApi, tenant: Tenant, operator: Tenant
) -> None:
    namespace = await pair(api, tenant)
    asked: dict[str, JsonValue] = {"region": OTHER, "cause": "drill"}

    refused = await ask(tenant, namespace, "failovers", **asked)
    await begun(operator, namespace, "failovers", **asked)

    assert refused.status_code == httpx.codes.FORBIDDEN
    (wanted,) = api.writer.namespaces[namespace].wanted_changes
    assert wanted.cause is FailoverCause.DRILL


async def test_an_operators_failover_is_the_tenants_operation_and_in_both_audit_logs(
    api: RunningApi, tenant: Tenant, operator: Tenant
) -> None:
    namespace = await pair(api, tenant)

    operation = await begun(operator, namespace, "failovers", region=OTHER, reason="it smokes")

    async with tenant.http() as http:
        seen = await http.get(f"/fleet/v1/operations/{operation.id}")
    async with operator.http() as http:
        path = f"/fleet/v1/namespaces/{namespace}/operations/{operation.id}"
        seen_by_operator = await http.get(path)
    assert seen.json() == seen_by_operator.json()
    (theirs,) = await audited(api, operator.account, "fleet.failovers.everybodys")
    assert theirs["namespace"] == namespace
    (tenants,) = await audited(api, tenant.account, "FailoverNamespaceRegion")
    assert tenants["message"] == "asked for by an operator of the fleet"
    (wanted,) = api.writer.namespaces[namespace].wanted_changes
    assert wanted.reason == f"it smokes ({operator.owner.email})"


async def test_a_namespace_is_migrated_by_operators_whosever_it_is(
    api: RunningApi, tenant: Tenant, operator: Tenant
) -> None:
    namespace = await pair(api, tenant)
    asked: dict[str, JsonValue] = {"soak": "PT1H", "reason": "its cell is full"}

    refused = await ask(tenant, namespace, "migrations", **asked)
    operation = await begun(operator, namespace, "migrations", **asked)

    assert refused.status_code == httpx.codes.FORBIDDEN
    assert operation.kind is OperationKind.MIGRATE
    (wanted,) = api.writer.namespaces[namespace].wanted_changes
    assert (wanted.kind, wanted.source, wanted.region) == (
        ReplicaChangeKind.MIGRATE,
        CELL,
        REGION,
    )
    assert (wanted.soak.total_seconds(), wanted.confirmed) == (3600, False)


async def test_a_migration_to_a_cell_is_one_to_its_region(
    api: RunningApi, tenant: Tenant, operator: Tenant
) -> None:
    namespace = await pair(api, tenant)
    nowhere = await ask(operator, namespace, "migrations", cell="nowhere-c1", reason="x")

    await begun(operator, namespace, "migrations", cell="synthetic-c0", reason="x")

    assert nowhere.status_code == httpx.codes.NOT_FOUND
    (wanted,) = api.writer.namespaces[namespace].wanted_changes
    assert (wanted.target, wanted.region) == ("synthetic-c0", "gcp-us-central1")


async def test_a_migration_is_listed_confirmed_and_aborted_by_its_id(
    api: RunningApi, tenant: Tenant, operator: Tenant
) -> None:
    namespace = await pair(api, tenant)
    counted = ReplicaProgress("copy", "12 a second", done=3, of=12, waits_for="confirmation")
    await under_way(api, namespace, ReplicaChangeKind.MIGRATE, progress=counted)

    async with operator.http() as http:
        listed = _MIGRATIONS.validate_json((await http.get("/fleet/v1/migrations")).content)
    shown = await told(operator, namespace)
    other = await ask(operator, namespace, "migrations/8:confirm", reason="x")
    await begun(operator, namespace, "migrations/7:confirm", reason="it is well")

    (mine,) = [each for each in listed if each.namespace == namespace]
    assert mine.change == shown.change
    assert mine.eta is not None
    assert any("3 of 12: 12 a second. It waits for a person" in line for line in shown.words)
    assert other.status_code == httpx.codes.NOT_FOUND
    change = api.writer.namespaces[namespace].change
    assert change is not None
    assert change.confirmed
    await begun(operator, namespace, "replica-changes/7:abort", reason="on second thoughts")
    change = api.writer.namespaces[namespace].change
    assert change is not None
    assert change.aborted


async def test_tenants_abort_what_they_asked_for_and_no_migration(
    api: RunningApi, tenant: Tenant
) -> None:
    namespace = await pair(api, tenant)
    await under_way(api, namespace, ReplicaChangeKind.MIGRATE)
    refused = await ask(tenant, namespace, "replica-changes/7:abort", reason="x")
    await under_way(api, namespace, ReplicaChangeKind.ADD)

    aborted = await begun(tenant, namespace, "replica-changes/7:abort", reason="not that one")

    assert refused.status_code == httpx.codes.FORBIDDEN
    assert aborted.state is OperationState.FULFILLED
    change = api.writer.namespaces[namespace].change
    assert change is not None
    assert change.aborted


async def test_roles_and_permissions_decide_here_too(api: RunningApi, tenant: Tenant) -> None:
    namespace = await pair(api, tenant)
    reader = await colleague(tenant, Role.READ, {namespace: Permission.READ})
    stranger = await api.tenant()

    assert (await told(reader, namespace)).namespace == namespace
    forbidden = await ask(reader, namespace, "failovers", region=OTHER)
    absent = await ask(stranger, namespace, "failovers", region=OTHER)
    async with stranger.http() as http:
        unseen = await http.get(f"/fleet/v1/namespaces/{namespace}/replicas")

    assert forbidden.status_code == httpx.codes.FORBIDDEN
    for answer in (absent, unseen):
        assert answer.status_code == httpx.codes.NOT_FOUND
        assert answer.json()["message"] == f"namespace {namespace!r} not found"


async def test_operators_who_only_read_fail_nothing_over(
    api: RunningApi, tenant: Tenant, operator: Tenant
) -> None:
    namespace = await pair(api, tenant)
    reader = await colleague(operator, Role.READ)

    assert (await told(reader, namespace)).namespace == namespace
    for path, body in (
        ("failovers", {"region": OTHER}),
        ("migrations", {"reason": "x"}),
        ("replica-changes/7:abort", {"reason": "x"}),
    ):
        refused = await ask(reader, namespace, path, **body)
        assert refused.status_code == httpx.codes.FORBIDDEN, path


async def test_why_it_was_not_failed_over_is_told(api: RunningApi, tenant: Tenant) -> None:
    namespace = await pair(api, tenant)
    # Above whatever another test has published: there is one for all of the fleet.
    api.fleet.availability.state.revision += 10_000
    decided = availability_view(revision=api.fleet.availability.state.revision)
    mine = replace(decided.namespaces[1], namespace=namespace, reason="its target has no room")
    await AvailabilityProjections(api.pool).publish_availability(
        replace(decided, namespaces=(mine,))
    )

    words = (await told(tenant, namespace)).words

    assert f"Its cell {CELL} is lost (3 of 4 say lost: enough); next: moves orders." in words
    assert "By the latest round it stays: its target has no room." in words


async def test_a_replica_that_is_no_more_is_in_nobodys_way(api: RunningApi, tenant: Tenant) -> None:
    namespace = await pair(api, tenant)
    state = api.writer.namespaces[namespace]
    third: PassiveReplica = passive_replica("gcp-us-central1", number=2)
    state.passive = {**state.passive, "gcp-us-central1-c1": third}
    await Projections(api.pool).publish_namespace(api.writer.published(namespace))

    found = await told(tenant, namespace)

    assert [each.state for each in found.replicas] == [
        ReplicaState.ACTIVE,
        ReplicaState.PASSIVE,
        ReplicaState.REMOVING,
    ]
