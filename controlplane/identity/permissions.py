"""Who may do what: one table, asked before anything is done, whatever door a request came by.

Account roles and permissions are those of Temporal Cloud ("Roles and permissions").
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.errors import not_found
from controlplane.identity.types import (
    RUNS_THE_ACCOUNT,
    Access,
    Permission,
    PermissionDenied,
    Principal,
    Role,
    ServiceAccount,
    User,
)
from controlplane.ids import account_of


@dataclass(frozen=True)
class Needs:
    """What an action takes: one of the roles, or the permission on the namespace it is about."""

    roles: frozenset[Role]
    permission: Permission | None = None
    operators: bool = False
    """Whether the role counts in an account of the fleet's operators only."""


ANYBODY = Needs(frozenset(Role))
OWNERS = Needs(frozenset({Role.OWNER}))
ADMINS = Needs(RUNS_THE_ACCOUNT)
DEVELOPERS = Needs(RUNS_THE_ACCOUNT | {Role.DEVELOPER})
READERS = Needs(RUNS_THE_ACCOUNT | {Role.DEVELOPER, Role.FINANCE_ADMIN, Role.READ})
METRICS_READERS = Needs(READERS.roles | {Role.METRICS_READ})
NAMESPACE_ADMINS = Needs(RUNS_THE_ACCOUNT, Permission.ADMIN)
NAMESPACE_WRITERS = Needs(RUNS_THE_ACCOUNT, Permission.WRITE)
NAMESPACE_READERS = Needs(RUNS_THE_ACCOUNT, Permission.READ)
OPERATORS = Needs(RUNS_THE_ACCOUNT, operators=True)
FLEET_READERS = Needs(READERS.roles, operators=True)

TABLE: Mapping[str, Needs] = {
    # Who one is, and what there is to choose from.
    "GetCurrentIdentity": ANYBODY,
    "GetAccount": ANYBODY,
    "UpdateAccount": ADMINS,
    "GetRegions": ANYBODY,
    "GetRegion": ANYBODY,
    "GetAsyncOperation": ANYBODY,
    "GetAuditLogs": ADMINS,
    # Namespaces. The list has those that the caller may know of.
    "GetNamespaces": ANYBODY,
    "GetNamespace": NAMESPACE_READERS,
    "CreateNamespace": DEVELOPERS,
    "CreateNamespace.tags": ADMINS,
    "UpdateNamespace": NAMESPACE_ADMINS,
    "DeleteNamespace": NAMESPACE_ADMINS,
    "RenameCustomSearchAttribute": NAMESPACE_ADMINS,
    "UpdateNamespaceTags": ADMINS,
    "FailoverNamespaceRegion": NAMESPACE_ADMINS,
    "AddNamespaceRegion": NAMESPACE_ADMINS,
    "DeleteNamespaceRegion": NAMESPACE_ADMINS,
    # People and machines. What is for one namespace only is for its admins to manage: whose a
    # request is about is known once it is looked up (`service-accounts.manage`, `owners.manage`).
    "GetUsers": READERS,
    "GetUser": READERS,
    "GetServiceAccounts": READERS,
    "GetServiceAccount": READERS,
    "CreateServiceAccount": ANYBODY,
    "UpdateServiceAccount": ANYBODY,
    "DeleteServiceAccount": ANYBODY,
    "SetServiceAccountNamespaceAccess": NAMESPACE_ADMINS,
    "GetServiceAccountNamespaceAssignments": NAMESPACE_READERS,
    "service-accounts.manage": NAMESPACE_ADMINS,
    "owners.manage": OWNERS,
    # Keys: of oneself, of the service accounts one manages, and for admins everybody's
    # (`keys_in_sight`, `authorize_key`).
    "GetApiKeys": ANYBODY,
    "GetApiKey": ANYBODY,
    "CreateApiKey": ANYBODY,
    "UpdateApiKey": ANYBODY,
    "DeleteApiKey": ANYBODY,
    "users.manage": ADMINS,
    # The Fleet API, for those who use the fleet.
    "fleet.namespace": NAMESPACE_READERS,
    "fleet.operation": ANYBODY,
    "fleet.inspect": NAMESPACE_READERS,
    "fleet.request-limit": NAMESPACE_ADMINS,
    "fleet.client-ca": NAMESPACE_ADMINS,
    "fleet.client-certificates.read": NAMESPACE_READERS,
    # A certificate opens all of the namespace to whoever holds it.
    "fleet.client-certificates.issue": NAMESPACE_WRITERS,
    "fleet.certificates.revoke": NAMESPACE_ADMINS,
    "fleet.replicas": NAMESPACE_READERS,
    "fleet.failovers": NAMESPACE_ADMINS,
    "fleet.replica-changes.abort": NAMESPACE_ADMINS,
    "fleet.account-limits.read": READERS,
    "fleet.audit.export": ADMINS,
    "fleet.metrics": METRICS_READERS,
    # The Fleet API, for those who run the fleet. What an account may have is theirs to say, also
    # where the account is their own.
    "fleet.account-limits.write": OPERATORS,
    "fleet.accounts.limits": FLEET_READERS,
    "fleet.cells": FLEET_READERS,
    "fleet.cells.cordon": OPERATORS,
    "fleet.cells.lift-quarantine": OPERATORS,
    "fleet.cells.release-visit": OPERATORS,
    "fleet.cells.links": FLEET_READERS,
    "fleet.cell-lives.read": FLEET_READERS,
    "fleet.cell-lives.preview": FLEET_READERS,
    "fleet.cell-lives.create": OPERATORS,
    "fleet.cell-lives.control": OPERATORS,
    # Of every account: what its tenant may do itself, and what only operators may.
    "fleet.replicas.everybodys": FLEET_READERS,
    "fleet.failovers.everybodys": OPERATORS,
    "fleet.migrations": OPERATORS,
    "fleet.migrations.read": FLEET_READERS,
    "fleet.evacuations.read": FLEET_READERS,
    "fleet.evacuations.start": OPERATORS,
    "fleet.evacuations.control": OPERATORS,
    "fleet.availability.read": FLEET_READERS,
    "fleet.availability.control": OPERATORS,
    "fleet.releases.read": FLEET_READERS,
    "fleet.releases.create": OPERATORS,
    "fleet.rollouts.read": FLEET_READERS,
    "fleet.rollouts.plan": FLEET_READERS,
    "fleet.rollouts.simulate": OPERATORS,
    "fleet.rollouts.start": OPERATORS,
    "fleet.rollouts.control": OPERATORS,
    "fleet.ledger.read": FLEET_READERS,
    "fleet.ledger.fence": OPERATORS,
    "fleet.calendar.read": FLEET_READERS,
    "fleet.calendar.write": OPERATORS,
    "fleet.calendar.block": OPERATORS,
}
"""What each action takes, by the name of its RPC or of what the Fleet API does. What is not here
nobody may do."""

_INCLUDES: Mapping[Permission, frozenset[Permission]] = {
    Permission.ADMIN: frozenset(Permission),
    Permission.WRITE: frozenset({Permission.WRITE, Permission.READ}),
    Permission.READ: frozenset({Permission.READ}),
}
_ROLE_NAMES: Mapping[Role, str] = {
    Role.OWNER: "account owner",
    Role.ADMIN: "account admin",
    Role.DEVELOPER: "developer",
    Role.FINANCE_ADMIN: "finance admin",
    Role.READ: "read",
    Role.METRICS_READ: "metrics read",
    Role.NONE: "no account role",
}


def authorize(principal: Principal, action: str, namespace: str | None) -> None:
    """Return if the caller may do this, to the namespace if it is about one.

    Otherwise raise PermissionDenied; for a namespace of another account `not_found`, as for one
    that never was.
    """
    needs = TABLE.get(action)
    if needs is None:
        raise PermissionDenied(f"nobody may do {action}: it is not in the table of permissions")
    if needs.permission is not None and namespace:
        if account_of(namespace) != principal.account.id:
            raise not_found(f"namespace {namespace!r} not found")
        held = principal.access.permission(namespace)
        if held is not None and needs.permission in _INCLUDES[held]:
            return
    if needs.operators and not principal.account.operator:
        raise PermissionDenied(
            f"{action} is for the fleet's operators, and account {principal.account.id} is not "
            "theirs: ask them to do it"
        )
    if principal.access.role not in needs.roles:
        raise PermissionDenied(_refusal(principal, action, needs, namespace))


def authorize_service_account(principal: Principal, target: ServiceAccount) -> None:
    """Raise PermissionDenied unless the caller may manage this service account."""
    authorize(principal, "service-accounts.manage", target.scope)
    if target.access.role is Role.OWNER:
        # Otherwise an admin could make itself an owner.
        authorize(principal, "owners.manage", None)


def authorize_key(principal: Principal, owner: User | ServiceAccount | None) -> None:
    """Raise PermissionDenied unless the caller may change keys of this owner.

    Users have their own; a service account's are for those who manage it, and not for itself: with
    a key that leaked, others could be made.
    """
    match owner:
        case ServiceAccount():
            authorize_service_account(principal, owner)
        case User(id=self) if self == principal.owner.id:
            return
        case User(access=Access(role=Role.OWNER)):
            authorize(principal, "owners.manage", None)
        case _:
            authorize(principal, "users.manage", None)


def authorize_new_key(principal: Principal, owner: User | ServiceAccount | None) -> None:
    """Raise PermissionDenied unless the caller may make a key that speaks for this owner."""
    if isinstance(owner, User) and owner.id != principal.owner.id:
        raise PermissionDenied(
            f"API keys of user {owner.id} are made by that user alone: make one for yourself, or "
            "for a service account"
        )
    authorize_key(principal, owner)


def may_see_operation(principal: Principal, namespace: str, actor: str | None) -> bool:
    """Tell whether the caller may know of an operation: its own, or one on what it may know of.

    A namespace that is gone is in nobody's sight any more; who deleted it still learns of the end.
    """
    visible = principal.access.visible()
    return visible is None or actor == principal.owner.id or namespace in visible


@dataclass(frozen=True)
class KeysInSight:
    """The keys that somebody may know of: everybody's, or its own and those of its scopes."""

    everybodys: bool = False
    owner_id: str = ""
    scopes: frozenset[str] = frozenset()
    """Namespaces whose service accounts' keys may be known of."""


def keys_in_sight(principal: Principal) -> KeysInSight:
    """Return which keys of the account the caller may know of."""
    held = principal.access.namespaces
    return KeysInSight(
        everybodys=principal.access.everywhere,
        owner_id=principal.owner.id,
        scopes=frozenset(name for name in held if held[name] is Permission.ADMIN),
    )


def _refusal(principal: Principal, action: str, needs: Needs, namespace: str | None) -> str:
    by_role = " or ".join(_ROLE_NAMES[role] for role in Role if role in needs.roles)
    if needs.permission is None:
        takes = f"the account role {by_role}"
        has = _ROLE_NAMES[principal.access.role]
    else:
        about = namespace or "the namespace"
        takes = f"the permission {needs.permission} on {about}, or the account role {by_role}"
        held = principal.access.permission(namespace or "")
        has = f"{_ROLE_NAMES[principal.access.role]}, and {held or 'nothing'} on {about}"
    grants = "an account owner" if needs.roles == OWNERS.roles else "an account owner or admin"
    return f"{action} takes {takes}; this key's owner has {has}: {grants} can grant that"
