"""What a namespace can be asked: whether it agrees, and what it writes down if so. Pure.

A check raises the refusal; what follows it changes the state and nothing else. Nothing here acts:
the entity's loop finds what is due in what was written down.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from controlplane.errors import (
    already_exists,
    failed_precondition,
    invalid_argument,
    not_found,
    throttled,
)
from provisioning.journal import Journal, is_open
from provisioning.plan import renamed
from provisioning.replicas import requests as replica_requests
from provisioning.replicas.requests import ReplicaRequest
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    CreateNamespace,
    DeleteNamespace,
    FailOver,
    InspectNamespace,
    IssueClientCertificate,
    MigrateNamespace,
    NamespaceLife,
    NamespaceSpec,
    NamespaceState,
    OperationKind,
    Rename,
    RenameSearchAttribute,
    RevokeCertificate,
    SetRequestLimit,
    SigningRequest,
    UpdateNamespace,
    UpdateTags,
    resource_version,
)

MOST_OPEN_OPERATIONS = 100
"""How many changes of one namespace may wait for their turn."""
MOST_REVOKED = 1000
"""How many client certificates of one namespace can be revoked at a time."""
ASK_AGAIN_AFTER = timedelta(seconds=5)

Change = (
    UpdateNamespace
    | RenameSearchAttribute
    | UpdateTags
    | SetRequestLimit
    | RevokeCertificate
    | IssueClientCertificate
    | InspectNamespace
    | ReplicaRequest
)


def is_unwanted(state: NamespaceState) -> bool:
    """Return whether the namespace is on its way out: deleted, or given up while created."""
    return state.deleting or state.life == NamespaceLife.ACTIVATION_FAILED


def check_create(state: NamespaceState, request: CreateNamespace) -> None:
    """Raise `already_exists` unless the name is free or this is the creation that took it."""
    if state.spec is None or Journal(state).knows(request.operation):
        return
    if is_unwanted(state):
        raise already_exists(
            f"namespace {state.id} is being removed: create it again once it is gone"
        )
    raise already_exists(f"namespace {state.id} exists already")


def record_create(state: NamespaceState, request: CreateNamespace, uid: str, now: datetime) -> None:
    state.uid = uid
    state.spec = request.spec
    state.tags = request.tags
    state.created_at = state.clock = now
    state.generation = 1
    # Above every revision of an earlier namespace of this name, whatever became of it.
    state.revision = int(now.timestamp() * 1000)
    Journal(state).open(request.operation, OperationKind.CREATE, now)
    if len(request.spec.regions) > 1:
        state.replica_operations = [request.operation]


def check_change(state: NamespaceState, request: Change) -> None:
    """Raise why the namespace cannot take the change; one it took before is always taken."""
    spec = _present(state)
    if Journal(state).knows(request.operation):
        return
    if state.deleting:
        raise failed_precondition(f"namespace {state.id} is being deleted")
    if state.life in (NamespaceLife.ACTIVATING, NamespaceLife.ACTIVATION_FAILED):
        raise failed_precondition(
            f"namespace {state.id} is still being created: change it once it is active"
        )
    if sum(is_open(operation) for operation in state.operations) >= MOST_OPEN_OPERATIONS:
        raise throttled(
            f"{MOST_OPEN_OPERATIONS} changes of namespace {state.id} are waiting for their turn: "
            "wait for some of them",
            ASK_AGAIN_AFTER,
        )
    match request:
        case UpdateNamespace(resource_version=version, spec=wanted):
            _check_version(state, version)
            _check_replacement(spec, wanted)
            replica_requests.check_regions(state, spec, wanted)
        case RenameSearchAttribute(resource_version=version, old=old, new=new):
            _check_version(state, version)
            _check_rename(state, spec, old, new)
        case SetRequestLimit(requests_per_second=limit):
            if limit == state.policy.requests_per_second:
                raise invalid_argument(
                    f"nothing to change: the request limit of namespace {state.id} is {limit}"
                )
        case RevokeCertificate(serial=serial, revoked=revoked):
            _check_revocation(state, serial, revoked)
        case IssueClientCertificate():
            if not spec.managed_ca:
                raise failed_precondition(
                    f"namespace {state.id} has no managed CA: its clients' certificates are "
                    "issued by whoever owns the CA bundle it was given"
                )
        case FailOver() | MigrateNamespace() | ConfirmMigration() | AbortReplicaChange():
            replica_requests.check(state, request)
        case UpdateTags() | InspectNamespace():
            pass


def record_change(state: NamespaceState, request: Change, now: datetime) -> None:
    """Write the change down, unless that was done before."""
    journal, spec = Journal(state), _present(state)
    if journal.knows(request.operation):
        return
    state.generation += 1
    if not isinstance(request, UpdateNamespace):
        state.quiet_changes += 1
    match request:
        case UpdateNamespace(spec=wanted, kind=asked_by):
            kind, state.spec = asked_by, wanted
            if wanted.regions != spec.regions:
                state.replica_operations = [*state.replica_operations, request.operation]
        case RenameSearchAttribute(old=old, new=new):
            kind, state.spec = OperationKind.RENAME, renamed(spec, old, new)
            state.renames = [*state.renames, Rename(request.operation, old, new)]
        case UpdateTags(upsert=upsert, remove=remove):
            kind = OperationKind.TAG
            kept = {tag: value for tag, value in state.tags.items() if tag not in remove}
            state.tags = dict(sorted({**kept, **upsert}.items()))
        case SetRequestLimit(requests_per_second=limit):
            kind = OperationKind.LIMIT
            state.policy = replace(state.policy, requests_per_second=limit)
        case RevokeCertificate(serial=serial, revoked=revoked):
            kind = OperationKind.REVOKE if revoked else OperationKind.RESTORE
            others = set(state.policy.revoked_serials) - {serial}
            serials = others | {serial} if revoked else others
            state.policy = replace(state.policy, revoked_serials=tuple(sorted(serials)))
        case IssueClientCertificate(csr=csr, lifetime=lifetime):
            kind = OperationKind.ISSUE
            asked = SigningRequest(request.operation, csr, lifetime, now)
            state.signing_requests = [*state.signing_requests, asked]
        case InspectNamespace():
            kind = OperationKind.INSPECT
        case FailOver() | MigrateNamespace() | ConfirmMigration() | AbortReplicaChange():
            replica_requests.record(state, request, now)
            return
    if kind not in (OperationKind.ISSUE, OperationKind.INSPECT):
        state.modified_at = now
        state.life = NamespaceLife.UPDATING
    journal.open(request.operation, kind, now)


def check_delete(state: NamespaceState, request: DeleteNamespace) -> None:
    spec = _present(state)
    if Journal(state).knows(request.operation):
        return
    if state.deleting:
        raise failed_precondition(f"namespace {state.id} is being deleted already")
    if spec.delete_protection:
        raise failed_precondition(
            f"namespace {state.id} has delete protection: turn it off before deleting it"
        )
    _check_version(state, request.resource_version)


def record_delete(state: NamespaceState, request: DeleteNamespace, now: datetime) -> None:
    journal = Journal(state)
    if journal.knows(request.operation):
        return
    state.deleting = True
    state.generation += 1
    state.modified_at = now
    journal.open(request.operation, OperationKind.DELETE, now)


def _present(state: NamespaceState) -> NamespaceSpec:
    if state.spec is None:
        raise not_found(f"namespace {state.id} not found")
    return state.spec


def _check_version(state: NamespaceState, version: str) -> None:
    present = resource_version(state.uid, state.generation, state.quiet_changes)
    if version not in ("", present):
        raise failed_precondition(
            f"namespace {state.id} is at resource version {present}, not {version}: "
            "read it again and decide anew"
        )


def _check_replacement(spec: NamespaceSpec, wanted: NamespaceSpec) -> None:
    if wanted == spec:
        raise invalid_argument("nothing to change: the namespace is as the spec says")
    for name, kind in spec.search_attributes.items():
        changed = wanted.search_attributes.get(name)
        if changed is None:
            raise invalid_argument(
                f"search attribute {name!r} cannot be removed: send it as it is ({kind}), or "
                "rename it with RenameCustomSearchAttribute"
            )
        if changed != kind:
            raise invalid_argument(
                f"search attribute {name!r} is of type {kind} and cannot become {changed}: add "
                "another one"
            )


def _check_rename(state: NamespaceState, spec: NamespaceSpec, old: str, new: str) -> None:
    if old not in spec.search_attributes:
        raise not_found(f"namespace {state.id} has no search attribute {old!r}")
    if new in spec.search_attributes:
        raise already_exists(f"namespace {state.id} already has a search attribute {new!r}")


def _check_revocation(state: NamespaceState, serial: str, revoked: bool) -> None:
    known: Sequence[str] = state.policy.revoked_serials
    if not revoked and serial not in known:
        raise not_found(f"certificate {serial} of namespace {state.id} is not revoked")
    if revoked and serial not in known and len(known) >= MOST_REVOKED:
        raise failed_precondition(
            f"{MOST_REVOKED} certificates of namespace {state.id} are revoked already: replace "
            "the CA that issued them, then take the revocations back"
        )
