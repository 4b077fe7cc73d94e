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
    """PEM: the CA bundle that client certificates are verified against; empty with a managed CA,
    or where no client certificate gets in."""
    certificate_filters: tuple[CertificateFilter, ...] = ()
    search_attributes: dict[str, SearchAttributeType] = field(default_factory=dict)
    delete_protection: bool = False
    declaration: str = ""
    """Base64 of the caller's `temporal.api.cloud.namespace.v1.NamespaceSpec`: read back through
    the API as it came, fields unknown to us included."""
    managed_ca: bool = False
    """Whether a CA that we keep for the namespace signs its clients' certificates."""
    api_keys: bool = False
    """Whether requests with an API key get in, beside or instead of client certificates."""
    replicas: tuple[str, ...] = ()
    """The regions of all replicas, that of the preferred primary first, which is `region`. A region
    may occur twice. Empty: there is one replica."""
    managed_failover: bool = True
    """Whether the namespace is failed over without being asked when its cell is lost."""
    forward_polls: bool = True
    """Whether a worker that polls where the namespace is passive gets tasks from where it is
    active."""

    @property
    def regions(self) -> tuple[str, ...]:
        return self.replicas or (self.region,)


@dataclass(frozen=True)
class IngressPolicy:
    """What a tenant asks of the ingress beyond the spec, by calls of its own: an update of the
    spec leaves it as it is."""

    requests_per_second: int = 0
    """0: no limit."""
    revoked_serials: tuple[str, ...] = ()
    """Client certificates refused, sorted: hexadecimal, lower case, no leading zeros."""


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
    flaw: str = ""
    """What of record, roles or grants is not as we made it, in words."""


@dataclass(frozen=True)
class CertificateFacts:
    server_name: str
    fingerprint: str
    """SHA-256 of the leaf, hexadecimal."""
    not_before: datetime
    not_after: datetime
    client_ca_fingerprints: tuple[str, ...]
    client_ca_not_after: datetime | None
    """When the first certificate of the CA bundle in force expires; None without a bundle."""
    managed_ca: str = ""
    """PEM: the certificate of the CA kept for the namespace, if there is one."""
    trust: str = ""
    """Of whose client certificates were to be trusted (`plan.trust_basis`): when it differs, the
    certificates are due again."""


@dataclass(frozen=True)
class RegistrationFacts:
    namespace_uuid: str
    """Temporal's own id of the namespace in its cell."""
    retention: timedelta
    search_attributes: dict[str, SearchAttributeType]
    fields: dict[str, str] = field(default_factory=dict)
    """The visibility store's field behind each search attribute."""


@dataclass(frozen=True)
class AdmissionFacts:
    digest: str
    """Of everything the ingress enforces for the namespace (`cells.ingress.records`)."""
    basis: str = ""
    """Of what was asked for (`plan.admission_basis`): when it differs, admission is due again."""
    parts: dict[str, str] = field(default_factory=dict)
    """What is enforced, each part as its value or a short fingerprint."""


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


@dataclass(frozen=True)
class PassiveReplica:
    """What exists of a namespace in a cell where it is not active. It serves all the same: its
    ingress passes requests on to the active one."""

    region: str
    placement: Placement
    number: int
    """Of all replicas the namespace ever had; that of the first is 0."""
    since: datetime
    database: DatabaseFacts | None = None
    admission: AdmissionFacts | None = None
    proof: ProofFacts | None = None
    routed_to: str = ""
    """The cell to which its ingress passes requests on; empty when that is not known."""


class ReplicaChangeKind(StrEnum):
    """What is done to the replicas of a namespace, one thing at a time."""

    ADD = "add"
    REMOVE = "remove"
    FAILOVER = "failover"
    MIGRATE = "migrate"


class FailoverMode(StrEnum):
    GRACEFUL = "graceful"
    """Nothing is lost, or nothing is done."""
    FORCED = "forced"
    """At once: what had not been replicated is lost, or merged when its cell comes back."""
    GRACEFUL_THEN_FORCED = "graceful-then-forced"
    """Graceful for a while, then forced."""


class FailoverCause(StrEnum):
    MANUAL = "manual"
    AUTOMATIC = "automatic"
    FAILBACK = "failback"
    """What was failed over automatically returns."""
    EVACUATION = "evacuation"
    DRILL = "drill"


@dataclass(frozen=True)
class Failover:
    """A failover that took place."""

    at: datetime
    source: str
    target: str
    cause: FailoverCause
    forced: bool
    reason: str = ""
    took: timedelta = timedelta(0)


@dataclass(frozen=True)
class ReplicaProgress:
    """How far a change of replicas is."""

    phase: str
    """Such as `copy`: the names of `provisioning.replicas.types.Phase`."""
    message: str = ""
    done: int = 0
    of: int = 0
    """Workflow executions; 0 when nothing is counted."""
    waits_for: str = ""
    """What a person has to do for it to go on; empty when nothing."""


@dataclass(frozen=True)
class ReplicaChange:
    """What is being done to a namespace's replicas, by a workflow of its own."""

    id: str
    kind: ReplicaChangeKind
    operation: str
    """The operation it is done for; empty when nobody asked for it."""
    source: str
    """The cell that is left, by a failover, a removal or a migration; else empty."""
    target: str
    """The cell that is added or becomes active; empty until it is chosen."""
    region: str
    """Of the target, or of the source that is removed."""
    started_at: datetime
    progress: ReplicaProgress = ReplicaProgress("pending")
    moved_at: datetime | None = None
    mode: FailoverMode = FailoverMode.GRACEFUL
    cause: FailoverCause = FailoverCause.MANUAL
    reason: str = ""
    number: int = 0
    """Of the replica that is added."""
    soak: timedelta = timedelta(0)
    """How long a migration keeps the former cell as a replica before it may be confirmed."""
    aborted: bool = False
    confirmed: bool = False
    """Whether a migration may go beyond its point of no return."""


class ReplicaChangeOutcome(StrEnum):
    DONE = "done"
    UNDONE = "undone"
    """Everything is as it was before."""


@dataclass(frozen=True)
class ReplicaMoved:
    """How far a change of replicas is, as its workflow tells it."""

    change: str
    progress: ReplicaProgress
    target: str = ""
    """The cell that was chosen, once it is."""


@dataclass(frozen=True)
class ReplicaChangeReport:
    """What has become of a change of replicas: since the last report, and at its end."""

    change: str
    message: str = ""
    outcome: ReplicaChangeOutcome | None = None
    """None while it goes on."""
    added: PassiveReplica | None = None
    removed: str = ""
    """The cell that has no replica any more, or is about to lose it for good."""
    failed_over: Failover | None = None
    dns: DnsFacts | None = None
    """Where the endpoint's name leads since the failover; None when that is not known."""
    routed: tuple[str, ...] = ()
    """The cells whose ingress follows the failover."""
    is_permanent: bool = False
    """Of a change that was undone: whether it would fail again."""


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
    UPDATE = "UpdateNamespace"
    RENAME = "RenameCustomSearchAttribute"
    TAG = "UpdateNamespaceTags"
    DELETE = "DeleteNamespace"
    ADD_REGION = "AddNamespaceRegion"
    REMOVE_REGION = "DeleteNamespaceRegion"
    FAIL_OVER = "FailoverNamespaceRegion"
    # Ours alone.
    MIGRATE = "MigrateNamespace"
    CONFIRM_MIGRATION = "ConfirmMigration"
    ABORT_CHANGE = "AbortReplicaChange"
    LIMIT = "SetNamespaceRequestLimit"
    REVOKE = "RevokeClientCertificate"
    RESTORE = "RestoreClientCertificate"
    ISSUE = "IssueClientCertificate"
    INSPECT = "InspectNamespace"


@dataclass(frozen=True)
class Operation:
    id: str
    kind: OperationKind
    state: OperationState
    started_at: datetime
    finished_at: datetime | None = None
    failure_reason: str = ""
    steps: tuple[StepRecord, ...] = ()
    generation: int = 0
    """That of the namespace with this change in it: done once that has been brought about."""


@dataclass(frozen=True)
class Difference:
    """One way in which the world was found to differ from what we made of it."""

    step: Step
    """The part that differs."""
    what: str
    wanted: str
    found: str


@dataclass(frozen=True)
class Inspection:
    """What the last look at the world found."""

    at: datetime
    differences: tuple[Difference, ...] = ()


class DecisionKind(StrEnum):
    """What an entity decides by itself; what it was asked for is the API's to record."""

    PLACED = "CellSelected"
    FINISHED = "OperationFinished"
    GAVE_UP = "GaveUp"
    DRIFT_FOUND = "DriftFound"
    DRIFT_REPAIRED = "DriftRepaired"
    CERTIFICATE_RENEWED = "CertificateRenewed"
    CREDENTIAL_ROTATED = "CredentialRotated"
    REPLICA_ADDED = "ReplicaAdded"
    REPLICA_REMOVED = "ReplicaRemoved"
    FAILED_OVER = "FailedOver"
    MIGRATED = "Migrated"
    REPLICAS_UNCHANGED = "ReplicasUnchanged"
    """A change of replicas was undone."""


@dataclass(frozen=True)
class Decision:
    """One decision of the entity, for the audit log."""

    number: int
    """1, 2, … within one incarnation of the namespace."""
    at: datetime
    kind: DecisionKind
    message: str
    operation: str = ""
    """The operation it was decided for; empty for renewals and repairs."""
    before: str = ""
    after: str = ""


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
    IN_SYNC = "InSync"
    """The world was last found as we made it; the message says what differed."""
    CLIENT_CA_VALID = "ClientCaValid"
    """No certificate of the CA bundle expires within 30 days."""
    CERTIFICATE_VALID = "CertificateValid"
    """The endpoint's server certificate is renewed in time."""
    REPLICATED = "Replicated"
    """Every replica has what the active one has, as last looked at; said of namespaces that have
    several."""


@dataclass(frozen=True)
class Rename:
    """A search attribute that is to be called otherwise."""

    operation: str
    old: str
    new: str


@dataclass(frozen=True)
class SigningRequest:
    """A client certificate that is to be issued by the namespace's managed CA."""

    operation: str
    csr: str
    """PEM: the certificate signing request."""
    lifetime: timedelta
    asked_at: datetime


@dataclass(frozen=True)
class ClientCertificate:
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
    """The most recent operations and all that are open, oldest first."""
    quiet_changes: int = 0
    """How many generations did not make a new resource version: all but updates of the spec."""
    policy: IngressPolicy = field(default_factory=IngressPolicy)
    tags: dict[str, str] = field(default_factory=dict)
    settled: NamespaceSpec | None = None
    """The spec last brought about whole: what a failed update returns to."""
    renames: list[Rename] = field(default_factory=list)
    """Search attributes still to be renamed, in order."""
    signing_requests: list[SigningRequest] = field(default_factory=list)
    inspection: Inspection | None = None
    decisions: list[Decision] = field(default_factory=list)
    """The most recent decisions and all that nobody can read yet, oldest first."""
    decided: int = 0
    """How many decisions there were."""
    passive: dict[str, PassiveReplica] = field(default_factory=dict)
    """The replicas beside the active one, by cell; what is in `observed` is the active one's."""
    change: ReplicaChange | None = None
    """What is being done to the replicas."""
    changes: int = 0
    """How many such changes there were."""
    active_number: int = 0
    """Of the active replica among all there ever were."""
    is_routed: bool = True
    """Whether the ingress of the active replica's cell answers requests itself."""
    numbers: int = 1
    """How many replicas there ever were."""
    replica_operations: list[str] = field(default_factory=list)
    """Operations that are done once the replicas are as the spec says."""
    wanted_changes: list[ReplicaChange] = field(default_factory=list)
    """Failovers and migrations that were asked for, and wait for their turn."""
    reports: list[ReplicaChangeReport] = field(default_factory=list)
    """Of changes that have ended and are still to be taken note of."""
    failovers: list[Failover] = field(default_factory=list)
    """The latest, the last being the latest of all."""
    left_regions: dict[str, datetime] = field(default_factory=dict)
    """Regions of which a replica was removed, and when."""


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
    quiet_changes: int = 0
    policy: IngressPolicy = field(default_factory=IngressPolicy)
    tags: dict[str, str] = field(default_factory=dict)
    inspection: Inspection | None = None
    decisions: tuple[Decision, ...] = ()
    passive: dict[str, PassiveReplica] = field(default_factory=dict)
    """The replicas beside the active one, by cell."""
    change: ReplicaChange | None = None
    """What is being done to the replicas."""
    failovers: tuple[Failover, ...] = ()
    """The latest, the last being the latest of all."""
    left_regions: dict[str, datetime] = field(default_factory=dict)
    """Regions of which a replica was removed, and when."""

    @property
    def active_region(self) -> str:
        """Where the namespace is active."""
        placement = self.observed.placement
        return self.spec.region if placement is None else placement.region

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells that have a replica, the active one first."""
        return (*(() if self.cell is None else (self.cell,)), *sorted(self.passive))

    @property
    def cell(self) -> str | None:
        return None if self.observed.placement is None else self.observed.placement.cell

    @property
    def resource_version(self) -> str:
        return resource_version(self.uid, self.generation, self.quiet_changes)


def resource_version(uid: str, generation: int, quiet_changes: int) -> str:
    """Return what clients quote to say by which spec they decided.

    It changes with the spec alone: some rename a search attribute, then go on with the version they
    had (the Terraform provider does).
    """
    return f"{uid[:8]}-{generation - quiet_changes}"


# What a namespace can be asked. `operation` is the id of the operation: repeated, it is the same
# request; new, another one. An empty `resource_version` means whatever the version is.


@dataclass(frozen=True)
class CreateNamespace:
    operation: str
    spec: NamespaceSpec
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UpdateNamespace:
    operation: str
    resource_version: str
    spec: NamespaceSpec
    """Takes the place of the present one, whole."""
    kind: OperationKind = OperationKind.UPDATE
    """The RPC that asked for it: adding and removing a region have RPCs of their own."""


@dataclass(frozen=True)
class RenameSearchAttribute:
    operation: str
    resource_version: str
    old: str
    new: str


@dataclass(frozen=True)
class UpdateTags:
    operation: str
    upsert: dict[str, str]
    remove: tuple[str, ...]


@dataclass(frozen=True)
class SetRequestLimit:
    operation: str
    requests_per_second: int
    """0: no limit."""


@dataclass(frozen=True)
class RevokeCertificate:
    operation: str
    serial: str
    """Hexadecimal, lower case, no leading zeros."""
    revoked: bool = True
    """False takes a revocation back."""


@dataclass(frozen=True)
class IssueClientCertificate:
    operation: str
    csr: str
    """PEM: the certificate signing request."""
    lifetime: timedelta


@dataclass(frozen=True)
class InspectNamespace:
    """Look at the world now, say what differs, and mend it."""

    operation: str


@dataclass(frozen=True)
class DeleteNamespace:
    operation: str
    resource_version: str


@dataclass(frozen=True)
class FailOver:
    """Make another replica the active one. The one that is active already is no error."""

    operation: str
    region: str = ""
    """Where to; empty with `cell`."""
    cell: str = ""
    """Which replica, where a region has two of them."""
    mode: FailoverMode = FailoverMode.GRACEFUL_THEN_FORCED
    cause: FailoverCause = FailoverCause.MANUAL
    reason: str = ""


@dataclass(frozen=True)
class MigrateNamespace:
    """Move a replica to another cell: add one there, make it what the other was, then, once that is
    confirmed, remove the other."""

    operation: str
    source: str = ""
    """The cell to leave; empty for the active one."""
    region: str = ""
    """Where to; empty for the region of the source."""
    cell: str = ""
    """Where to exactly; empty to have it chosen."""
    soak: timedelta = timedelta(0)
    """How long at least the former cell stays a replica before it is removed."""
    confirmed: bool = False
    """Whether to go beyond the point of no return without asking once more."""
    reason: str = ""


@dataclass(frozen=True)
class ConfirmMigration:
    """Let the migration under way remove the former cell's replica: there is no way back."""

    operation: str
    """Of this request, not of the migration."""
    change: str
    """The migration's id."""


@dataclass(frozen=True)
class AbortReplicaChange:
    """Undo what is being done to the replicas."""

    operation: str
    """Of this request."""
    change: str
    """Its id."""
    reason: str = ""
