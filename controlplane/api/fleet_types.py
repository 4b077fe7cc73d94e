"""What the Fleet API answers: namespaces and operations with everything that explains them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field

from cells.placement import Placement
from controlplane.api import limits
from controlplane.resource import Condition
from controlplane.store import client_certificates
from controlplane.store.operations import AccessChange, AnyOperation
from provisioning.certificates.x509 import fingerprint
from provisioning.types import (
    CertificateFacts,
    IngressPolicy,
    Inspection,
    NamespaceLife,
    NamespaceView,
    Operation,
    OperationKind,
    OperationState,
    StepRecord,
)


@dataclass(frozen=True)
class ClientCa:
    """The CA whose clients a namespace admits."""

    pem: str
    fingerprint: str
    """SHA-256 of the first certificate, hexadecimal."""
    not_after: datetime
    """When the first of them expires."""
    managed: bool
    """Whether it is kept for the namespace, and issues certificates on request."""


@dataclass(frozen=True)
class NamespaceDetails:
    """A namespace and why it is as it is. Holds no secrets and not the caller's spec."""

    id: str
    uid: str
    region: str
    """Where it is active."""
    cell: str | None
    life: NamespaceLife
    endpoint: str | None
    """The address that clients dial, `host:port`, once the namespace is ACTIVE."""
    generation: int
    resource_version: str
    created_at: datetime
    modified_at: datetime | None
    placement: Placement | None
    """The cell chosen, and what placement thought of each of the others."""
    conditions: tuple[Condition, ...]
    certificate: CertificateFacts | None
    """The endpoint's server certificate, and when the first of the client CAs expires."""
    managed_ca: ClientCa | None
    """The CA that is kept for the namespace, if there is one."""
    policy: IngressPolicy
    """The request limit, and the client certificates that were revoked."""
    tags: dict[str, str]
    inspection: Inspection | None
    """What the last look at the world found."""
    operations: tuple[Operation, ...]
    """The most recent ones, oldest first."""


@dataclass(frozen=True)
class OperationDetails:
    """An operation with its steps and their times."""

    id: str
    namespace: str
    """Empty for a change of who may do what."""
    kind: OperationKind | AccessChange
    state: OperationState
    started_at: datetime
    finished_at: datetime | None
    failure_reason: str
    steps: tuple[StepRecord, ...]


class ChangeRequest(BaseModel):
    """Something that is to be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation_id: str = ""
    """Repeated, it is the same request, done once; chosen for you when empty."""


class RequestLimit(ChangeRequest):
    """How much clients of a namespace may ask of it."""

    requests_per_second: int = Field(ge=0, le=limits.MOST_REQUESTS_PER_SECOND)
    """0: no limit."""


class CertificateRequest(ChangeRequest):
    """A client certificate that the namespace's managed CA is to issue."""

    csr: str = Field(max_length=limits.CSR_BYTES)
    """PEM: the certificate signing request. Its private key stays with whoever made it."""
    lifetime_days: int = Field(ge=1, le=limits.CLIENT_CERTIFICATE_DAYS)


@dataclass(frozen=True)
class IssuedCertificate:
    """A client certificate that the namespace's managed CA issued."""

    serial: str
    """Hexadecimal, lower case, no leading zeros."""
    subject: str
    fingerprint: str
    """SHA-256, hexadecimal."""
    not_before: datetime
    not_after: datetime
    pem: str
    """The certificate, then that of the CA."""
    operation: str
    """The operation that asked for it."""
    revoked: bool


@dataclass(frozen=True)
class CertificatePage:
    certificates: tuple[IssuedCertificate, ...]
    next_page_token: str
    """"" on the last page."""


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
        region=view.active_region,
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
        managed_ca=client_ca(view) if view.spec.managed_ca else None,
        policy=view.policy,
        tags=view.tags,
        inspection=view.inspection,
        operations=view.operations,
    )


def client_ca(view: NamespaceView) -> ClientCa | None:
    """Return the CA whose clients the namespace admits, if there is one yet."""
    pem, certificate = view.spec.client_ca, view.observed.certificate
    if view.spec.managed_ca:
        pem = "" if certificate is None else certificate.managed_ca
    if not pem:
        return None
    authorities = x509.load_pem_x509_certificates(pem.encode())
    return ClientCa(
        pem,
        fingerprint(authorities[0]),
        min(authority.not_valid_after_utc for authority in authorities),
        managed=view.spec.managed_ca,
    )


def issued_certificate(
    found: client_certificates.IssuedCertificate, revoked: Collection[str]
) -> IssuedCertificate:
    certificate = found.certificate
    return IssuedCertificate(
        **vars(certificate),
        operation=found.operation,
        revoked=certificate.serial in revoked,
    )


def operation_details(namespace: str, operation: AnyOperation) -> OperationDetails:
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
