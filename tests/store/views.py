"""Cells and namespaces as entities publish them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cells.ingress.records import CertificateFilter
from cells.placement import Placement, Verdict
from cells.types import Capacity, CellAddresses, CellCondition, CellSpec, CellView, Provider
from controlplane.resource import Condition, ConditionStatus
from provisioning.types import (
    AdmissionFacts,
    CertificateFacts,
    NamespaceCondition,
    NamespaceLife,
    NamespaceSpec,
    NamespaceView,
    ObservedNamespace,
    Operation,
    OperationKind,
    OperationState,
    PassiveReplica,
    ProofFacts,
    SearchAttributeType,
    Step,
    StepRecord,
    StepState,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REGION = "aws-us-east-1"
CELL = "aws-us-east-1-c1"


def cell_view(
    cell: str = CELL, *, region: str = REGION, ring: int = 1, revision: int = 1
) -> CellView:
    return CellView(
        id=cell,
        spec=CellSpec(
            provider=Provider(region.partition("-")[0]),
            region=region,
            ring=ring,
            server_version="1.30.1",
            capacity=Capacity(namespaces=100, actions_per_second=100_000),
            addresses=CellAddresses(
                frontend="127.0.0.1:7001",
                ingress="127.0.0.1:7002",
                ingress_admin="127.0.0.1:7003",
                gatekeeper="127.0.0.1:7004",
                database="postgresql://cell@127.0.0.1:7005/cell",
            ),
        ),
        generation=1,
        revision=revision,
        cordon=None,
        allocated=Capacity(namespaces=1, actions_per_second=500),
        namespaces=1,
        conditions={
            CellCondition.READY: Condition(
                CellCondition.READY, ConditionStatus.TRUE, "Validated", 1, NOW
            )
        },
        server_version="1.30.1",
    )


def operation(
    operation_id: str = "op-1",
    *,
    kind: OperationKind = OperationKind.CREATE,
    state: OperationState = OperationState.IN_PROGRESS,
    steps: tuple[StepRecord, ...] = (
        StepRecord(Step.SELECT_CELL, StepState.DONE, NOW, NOW + timedelta(seconds=1)),
        StepRecord(Step.WRITE_DATABASE, StepState.RUNNING, NOW + timedelta(seconds=1)),
    ),
) -> Operation:
    done = state in (OperationState.FULFILLED, OperationState.FAILED)
    return Operation(
        operation_id,
        kind,
        state,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=9) if done else None,
        failure_reason="no luck" if state is OperationState.FAILED else "",
        steps=steps,
    )


def namespace_view(
    namespace: str = "orders.acme1",
    *,
    uid: str = "11111111-aaaa",
    revision: int = 1,
    life: NamespaceLife = NamespaceLife.ACTIVE,
    spec: NamespaceSpec | None = None,
    cell: str | None = CELL,
    operations: tuple[Operation, ...] = (),
) -> NamespaceView:
    placement = Placement(
        REGION,
        cell,
        (
            Verdict(CELL, 0.98, ("98.0% of its namespaces stay free",)),
            Verdict("synthetic-c0", None, ("ring 0 holds synthetic load only",)),
        ),
    )
    certificate = CertificateFacts(
        server_name=f"{namespace}.fleet.test",
        fingerprint="ab" * 32,
        not_before=NOW,
        not_after=NOW + timedelta(days=90),
        client_ca_fingerprints=("cd" * 32,),
        client_ca_not_after=NOW + timedelta(days=365),
    )
    return NamespaceView(
        id=namespace,
        uid=uid,
        spec=spec
        or NamespaceSpec(
            region=REGION,
            retention=timedelta(days=7),
            client_ca="PEM",
            certificate_filters=(CertificateFilter(common_name="worker-*"),),
            search_attributes={"Customer": SearchAttributeType.KEYWORD},
        ),
        generation=1,
        revision=revision,
        life=life,
        created_at=NOW,
        modified_at=None,
        observed=ObservedNamespace(placement=placement, certificate=certificate),
        conditions={
            NamespaceCondition.READY: Condition(
                NamespaceCondition.READY, ConditionStatus.TRUE, "Proven", 1, NOW
            )
        },
        operations=operations,
    )


def passive_replica(region: str, *, number: int = 1) -> PassiveReplica:
    return PassiveReplica(
        region,
        Placement(region, f"{region}-c1", ()),
        number,
        NOW,
        admission=AdmissionFacts("digest"),
        proof=ProofFacts("digest", NOW),
    )


def replicated(*regions: str, active: str = "", revision: int = 1) -> NamespaceView:
    """Return a namespace with a replica in the first cell of each region, active in the first."""
    active = active or regions[0]
    found = namespace_view(cell=f"{active}-c1", revision=revision)
    observed = replace(found.observed, placement=Placement(active, f"{active}-c1", ()))
    return replace(
        found,
        spec=replace(found.spec, region=regions[0], replicas=regions),
        observed=observed,
        passive={
            f"{region}-c1": passive_replica(region, number=number)
            for number, region in enumerate(regions)
            if region != active
        },
    )
