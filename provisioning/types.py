"""What a namespace is: its spec, what we see of it, its operations, the state runs hand on."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cells.ingress.records import CertificateFilter
from cells.placement import Placement
from cells.types import Capacity
from controlplane.resource import Conditions

DEMAND = Capacity(namespaces=1, actions_per_second=500)
"""What a namespace takes of its cell. 500 actions a second is the documented default limit
(Temporal Cloud, "System limits")."""


class SearchAttributeType(StrEnum):
    """The names of Temporal's IndexedValueType, without its prefix."""

    TEXT = "TEXT"
    KEYWORD = "KEYWORD"
    INT = "INT"
    DOUBLE = "DOUBLE"
    BOOL = "BOOL"
    DATETIME = "DATETIME"
    KEYWORD_LIST = "KEYWORD_LIST"


@dataclass(frozen=True)
class NamespaceSpec:
    """What provisioning acts on. `declaration` is what the caller wrote, whole."""

    region: str
    retention: timedelta
    client_ca: str
    """PEM: the CA bundle that client certificates are verified against."""
    certificate_filters: tuple[CertificateFilter, ...] = ()
    search_attributes: dict[str, SearchAttributeType] = field(default_factory=dict)
    delete_protection: bool = False
    declaration: str = ""
    """Base64 of the caller's `temporal.api.cloud.namespace.v1.NamespaceSpec`: read back through
    the API as it came, fields unknown to us included."""


class Step(StrEnum):
    """The parts of a namespace, in the order in which they come to be."""

    SELECT_CELL = "SelectCell"
    WRITE_DATABASE = "WriteDatabase"
    ISSUE_CERTIFICATE = "IssueCertificate"
    REGISTER = "Register"
    ADMIT = "Admit"
    PUBLISH_DNS = "PublishDns"
    PROVE = "Prove"


# What each step leaves in the world: facts, references and fingerprints, never a secret.


@dataclass(frozen=True)
class DatabaseFacts:
    role: str
    credential: str
    """Name in the secret store of the role's current credential."""
    login: str
    """The login role that credential belongs to."""
    rotated_at: datetime


@dataclass(frozen=True)
class CertificateFacts:
    server_name: str
    fingerprint: str
    """SHA-256 of the leaf, hexadecimal."""
    not_before: datetime
    not_after: datetime
    client_ca_fingerprints: tuple[str, ...]
    client_ca_not_after: datetime
    """When the first certificate of the CA bundle expires."""


@dataclass(frozen=True)
class RegistrationFacts:
    namespace_uuid: str
    """Temporal's own id of the namespace in its cell."""
    retention: timedelta
    search_attributes: dict[str, SearchAttributeType]


@dataclass(frozen=True)
class AdmissionFacts:
    digest: str
    """Of everything the ingress enforces for the namespace (`cells.ingress.records`)."""
    basis: str = ""
    """Of what was asked for (`plan.admission_basis`): when it differs, admission is due again."""


@dataclass(frozen=True)
class DnsFacts:
    name: str
    target: str
    ttl: timedelta


@dataclass(frozen=True)
class ProofFacts:
    digest: str
    """The admission digest that was proven."""
    proven_at: datetime


@dataclass(frozen=True)
class ObservedNamespace:
    """What exists of a namespace. None means the part does not exist, or was not seen yet."""

    placement: Placement | None = None
    database: DatabaseFacts | None = None
    certificate: CertificateFacts | None = None
    registration: RegistrationFacts | None = None
    admission: AdmissionFacts | None = None
    dns: DnsFacts | None = None
    proof: ProofFacts | None = None


class OperationState(StrEnum):
    """The names of AsyncOperation.State, without its prefix."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    FULFILLED = "FULFILLED"


class StepState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True)
class StepRecord:
    """One step of an operation, as a person watching it sees it."""

    step: Step
    state: StepState
    started_at: datetime
    finished_at: datetime | None = None
    message: str = ""


class OperationKind(StrEnum):
    """The RPC that asked for it: the `operation_type` of the Cloud Ops API."""

    CREATE = "CreateNamespace"
    DELETE = "DeleteNamespace"


@dataclass(frozen=True)
class Operation:
    id: str
    kind: OperationKind
    state: OperationState
    started_at: datetime
    finished_at: datetime | None = None
    failure_reason: str = ""
    steps: tuple[StepRecord, ...] = ()


class NamespaceLife(StrEnum):
    """The names of ResourceState, without its prefix."""

    ACTIVATING = "ACTIVATING"
    ACTIVATION_FAILED = "ACTIVATION_FAILED"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    UPDATE_FAILED = "UPDATE_FAILED"
    DELETING = "DELETING"
    DELETE_FAILED = "DELETE_FAILED"
    DELETED = "DELETED"


class NamespaceCondition(StrEnum):
    READY = "Ready"
    """Everything the spec asks for exists and was proven from outside."""


@dataclass
class NamespaceState:
    """Everything that survives continue-as-new. Add fields only with defaults."""

    id: str
    """`<name>.<account>`"""
    uid: str = ""
    """Names this incarnation: a namespace recreated under the same name has another."""
    spec: NamespaceSpec | None = None
    generation: int = 0
    revision: int = 0
    deleting: bool = False
    created_at: datetime | None = None
    modified_at: datetime | None = None
    life: NamespaceLife = NamespaceLife.ACTIVATING
    observed: ObservedNamespace = field(default_factory=ObservedNamespace)
    attempted: list[Step] = field(default_factory=list)
    """Steps ever begun, in order: what an undo has to reach, whatever their outcome."""
    asked_cells: list[str] = field(default_factory=list)
    """Cells that were asked to hold capacity, whatever they answered."""
    clock: datetime | None = None
    """The time as of which steps are due: that of the creation, then of each look at the world."""
    failed_rounds: int = 0
    """How often in a row the steps failed: the pause before the next try grows with it."""
    failure: str = ""
    """Why creation was given up, while what it did is being undone."""
    conditions: Conditions = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    """The most recent operations, oldest first."""


@dataclass(frozen=True)
class NamespaceView:
    """A namespace as others see it: what projections hold and the API answers from."""

    id: str
    uid: str
    spec: NamespaceSpec
    generation: int
    revision: int
    """Rises with every change, also from one incarnation to the next."""
    life: NamespaceLife
    created_at: datetime
    modified_at: datetime | None
    observed: ObservedNamespace
    conditions: Conditions
    operations: tuple[Operation, ...]

    @property
    def cell(self) -> str | None:
        return None if self.observed.placement is None else self.observed.placement.cell

    @property
    def resource_version(self) -> str:
        return f"{self.uid[:8]}-{self.generation}"


@dataclass(frozen=True)
class CreateNamespace:
    operation: str
    """The id of the operation: repeated, the same request; new, another one."""
    spec: NamespaceSpec


@dataclass(frozen=True)
class DeleteNamespace:
    operation: str
    resource_version: str
    """Empty means whatever the version is."""
