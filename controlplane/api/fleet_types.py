"""What the Fleet API answers: namespaces and operations with everything that explains them."""

from dataclasses import dataclass
from datetime import datetime

from cells.placement import Placement
from controlplane.resource import Condition
from provisioning.types import (
    CertificateFacts,
    NamespaceLife,
    NamespaceView,
    Operation,
    OperationKind,
    OperationState,
    StepRecord,
)


@dataclass(frozen=True)
class NamespaceDetails:
    """A namespace and why it is as it is. Holds no secrets and not the caller's spec."""

    id: str
    uid: str
    region: str
    cell: str | None
    life: NamespaceLife
    endpoint: str | None
    """The address for clients with a certificate, `host:port`, once the namespace is ACTIVE."""
    generation: int
    resource_version: str
    created_at: datetime
    modified_at: datetime | None
    placement: Placement | None
    """The cell chosen, and what placement thought of each of the others."""
    conditions: tuple[Condition, ...]
    certificate: CertificateFacts | None
    """The endpoint's server certificate, and when the first of the client CAs expires."""
    operations: tuple[Operation, ...]
    """The most recent ones, oldest first."""


@dataclass(frozen=True)
class OperationDetails:
    """An operation with its steps and their times."""

    id: str
    namespace: str
    kind: OperationKind
    state: OperationState
    started_at: datetime
    finished_at: datetime | None
    failure_reason: str
    steps: tuple[StepRecord, ...]


@dataclass(frozen=True)
class Problem:
    """Why a request was not answered, as the gRPC gateway words it."""

    code: int
    """The number of the gRPC status code."""
    status: str
    """Its name."""
    message: str


def namespace_details(view: NamespaceView, endpoint: str | None) -> NamespaceDetails:
    return NamespaceDetails(
        id=view.id,
        uid=view.uid,
        region=view.spec.region,
        cell=view.cell,
        life=view.life,
        endpoint=endpoint,
        generation=view.generation,
        resource_version=view.resource_version,
        created_at=view.created_at,
        modified_at=view.modified_at,
        placement=view.observed.placement,
        conditions=tuple(view.conditions.values()),
        certificate=view.observed.certificate,
        operations=view.operations,
    )


def operation_details(namespace: str, operation: Operation) -> OperationDetails:
    return OperationDetails(
        id=operation.id,
        namespace=namespace,
        kind=operation.kind,
        state=operation.state,
        started_at=operation.started_at,
        finished_at=operation.finished_at,
        failure_reason=operation.failure_reason,
        steps=operation.steps,
    )
