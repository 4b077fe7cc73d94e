"""Who may do what: the table, row by row."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.identity.permissions import TABLE, authorize
from controlplane.identity.types import (
    Access,
    Account,
    ApiKey,
    OwnerType,
    Permission,
    PermissionDenied,
    Principal,
    Role,
    User,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NAMESPACE = "orders.acme1"

EVERYBODY = frozenset(Role)
OWNERS = frozenset({Role.OWNER})
ADMINS = frozenset({Role.OWNER, Role.ADMIN})
DEVELOPERS = ADMINS | {Role.DEVELOPER}
READERS = DEVELOPERS | {Role.FINANCE_ADMIN, Role.READ}

BY_ROLE: Mapping[str, frozenset[Role]] = {
    "GetCurrentIdentity": EVERYBODY,
    "GetAccount": EVERYBODY,
    "UpdateAccount": ADMINS,
    "GetRegions": EVERYBODY,
    "GetRegion": EVERYBODY,
    "GetAsyncOperation": EVERYBODY,
    "GetAuditLogs": ADMINS,
    "GetNamespaces": EVERYBODY,
    "CreateNamespace": DEVELOPERS,
    "CreateNamespace.tags": ADMINS,
    "UpdateNamespaceTags": ADMINS,
    "GetUsers": READERS,
    "GetUser": READERS,
    "GetServiceAccounts": READERS,
    "GetServiceAccount": READERS,
    "CreateServiceAccount": EVERYBODY,
    "UpdateServiceAccount": EVERYBODY,
    "DeleteServiceAccount": EVERYBODY,
    "owners.manage": OWNERS,
    "users.manage": ADMINS,
    "GetApiKeys": EVERYBODY,
    "GetApiKey": EVERYBODY,
    "CreateApiKey": EVERYBODY,
    "UpdateApiKey": EVERYBODY,
    "DeleteApiKey": EVERYBODY,
    "fleet.operation": EVERYBODY,
    "fleet.metrics": READERS | {Role.METRICS_READ},
    "fleet.account-limits.read": READERS,
    "fleet.audit.export": ADMINS,
}
"""What needs no namespace: the account roles that may do it."""

BY_OPERATORS_ROLE: Mapping[str, frozenset[Role]] = {
    "fleet.account-limits.write": ADMINS,
    "fleet.accounts.limits": READERS,
    "fleet.cells": READERS,
    "fleet.cells.cordon": ADMINS,
    "fleet.cells.lift-quarantine": ADMINS,
    "fleet.cells.release-visit": ADMINS,
    "fleet.cells.links": READERS,
    "fleet.cell-lives.read": READERS,
    "fleet.cell-lives.preview": READERS,
    "fleet.cell-lives.create": ADMINS,
    "fleet.cell-lives.control": ADMINS,
    "fleet.replicas.everybodys": READERS,
    "fleet.failovers.everybodys": ADMINS,
    "fleet.migrations": ADMINS,
    "fleet.migrations.read": READERS,
    "fleet.evacuations.read": READERS,
    "fleet.evacuations.start": ADMINS,
    "fleet.evacuations.control": ADMINS,
    "fleet.availability.read": READERS,
    "fleet.availability.control": ADMINS,
    "fleet.releases.read": READERS,
    "fleet.releases.create": ADMINS,
    "fleet.rollouts.read": READERS,
    "fleet.rollouts.plan": READERS,
    "fleet.rollouts.simulate": ADMINS,
    "fleet.rollouts.start": ADMINS,
    "fleet.rollouts.control": ADMINS,
    "fleet.ledger.read": READERS,
    "fleet.ledger.fence": ADMINS,
    "fleet.calendar.read": READERS,
    "fleet.calendar.write": ADMINS,
    "fleet.calendar.block": ADMINS,
}
"""What is about the fleet: the roles in an account of operators that may do it."""

BY_PERMISSION: Mapping[str, frozenset[Permission]] = {
    "GetNamespace": frozenset(Permission),
    "UpdateNamespace": frozenset({Permission.ADMIN}),
    "DeleteNamespace": frozenset({Permission.ADMIN}),
    "RenameCustomSearchAttribute": frozenset({Permission.ADMIN}),
    "FailoverNamespaceRegion": frozenset({Permission.ADMIN}),
    "AddNamespaceRegion": frozenset({Permission.ADMIN}),
    "DeleteNamespaceRegion": frozenset({Permission.ADMIN}),
    "SetServiceAccountNamespaceAccess": frozenset({Permission.ADMIN}),
    "GetServiceAccountNamespaceAssignments": frozenset(Permission),
    "service-accounts.manage": frozenset({Permission.ADMIN}),
    "fleet.namespace": frozenset(Permission),
    "fleet.inspect": frozenset(Permission),
    "fleet.request-limit": frozenset({Permission.ADMIN}),
    "fleet.replicas": frozenset(Permission),
    "fleet.failovers": frozenset({Permission.ADMIN}),
    "fleet.replica-changes.abort": frozenset({Permission.ADMIN}),
    "fleet.client-ca": frozenset({Permission.ADMIN}),
    "fleet.client-certificates.read": frozenset(Permission),
    "fleet.client-certificates.issue": frozenset({Permission.ADMIN, Permission.WRITE}),
    "fleet.certificates.revoke": frozenset({Permission.ADMIN}),
}
"""What is done to a namespace: the permissions on it that suffice; owners and admins always may."""


def caller(
    role: Role, namespaces: Mapping[str, Permission] | None = None, *, operator: bool = False
) -> Principal:
    user = User("u1", "olga@example.com", Access(role, namespaces or {}), NOW)
    key = ApiKey("k1", "u1", OwnerType.USER, "laptop", "", False, NOW, NOW, None, "1")
    return Principal(Account("acme1", "Acme", NOW, operator), user, key)


def may(principal: Principal, action: str, namespace: str | None = None) -> bool:
    try:
        authorize(principal, action, namespace)
    except PermissionDenied:
        return False
    return True


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value or "none")
@pytest.mark.parametrize("action", BY_ROLE)
def test_account_roles_decide_what_is_about_no_namespace(action: str, role: Role) -> None:
    assert may(caller(role, {NAMESPACE: Permission.ADMIN}), action) is (role in BY_ROLE[action])


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value or "none")
@pytest.mark.parametrize("action", BY_OPERATORS_ROLE)
def test_what_is_about_the_fleet_is_decided_by_roles_of_operators_alone(
    action: str, role: Role
) -> None:
    held = {NAMESPACE: Permission.ADMIN}

    assert may(caller(role, held, operator=True), action) is (role in BY_OPERATORS_ROLE[action])
    assert not may(caller(role, held), action)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value or "none")
@pytest.mark.parametrize("action", BY_PERMISSION)
def test_operators_have_no_way_into_the_namespaces_of_others(action: str, role: Role) -> None:
    with pytest.raises(ApplicationError, match=r"namespace 'orders\.other1' not found"):
        authorize(caller(role, operator=True), action, "orders.other1")


@pytest.mark.parametrize("permission", [*Permission, None])
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value or "none")
@pytest.mark.parametrize("action", BY_PERMISSION)
def test_permissions_decide_what_is_done_to_a_namespace(
    action: str, role: Role, permission: Permission | None
) -> None:
    held = {} if permission is None or role in ADMINS else {NAMESPACE: permission}

    allowed = may(caller(role, held), action, NAMESPACE)

    assert allowed is (role in ADMINS or permission in BY_PERMISSION[action])


@pytest.mark.parametrize("action", BY_PERMISSION)
def test_a_permission_counts_for_its_namespace_alone(action: str) -> None:
    held = {NAMESPACE: Permission.ADMIN}

    assert not may(caller(Role.DEVELOPER, held), action, "bills.acme1")
    assert not may(caller(Role.DEVELOPER, held), action, None)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value or "none")
@pytest.mark.parametrize("action", BY_PERMISSION)
def test_a_namespace_of_another_account_is_not_there_for_anybody(action: str, role: Role) -> None:
    with pytest.raises(ApplicationError, match=r"namespace 'orders\.other1' not found"):
        authorize(caller(role), action, "orders.other1")


def test_the_tests_know_every_row_of_the_table() -> None:
    assert BY_ROLE.keys() | BY_OPERATORS_ROLE.keys() | BY_PERMISSION.keys() == TABLE.keys()


def test_what_is_not_in_the_table_nobody_may_do() -> None:
    assert not may(caller(Role.OWNER), "LaunchRockets")


def test_a_refusal_says_what_is_missing_and_who_can_grant_it() -> None:
    held = caller(Role.DEVELOPER, {NAMESPACE: Permission.WRITE})

    with pytest.raises(PermissionDenied) as refusal:
        authorize(held, "UpdateNamespace", NAMESPACE)

    assert str(refusal.value) == (
        "UpdateNamespace takes the permission admin on orders.acme1, or the account role account "
        "owner or account admin; this key's owner has developer, and write on orders.acme1: an "
        "account owner or admin can grant that"
    )


def test_who_is_no_operator_is_told_whom_to_ask() -> None:
    with pytest.raises(PermissionDenied) as refusal:
        authorize(caller(Role.OWNER), "fleet.rollouts.start", None)

    assert str(refusal.value) == (
        "fleet.rollouts.start is for the fleet's operators, and account acme1 is not theirs: ask "
        "them to do it"
    )


def test_what_only_owners_may_do_only_owners_can_grant() -> None:
    with pytest.raises(PermissionDenied, match="an account owner can grant that"):
        authorize(caller(Role.ADMIN), "owners.manage", None)


def test_a_scoped_service_account_has_no_account_role() -> None:
    scoped = caller(Role.NONE, {NAMESPACE: Permission.ADMIN})

    assert scoped.access.visible() == frozenset({NAMESPACE})
    assert replace(scoped.access, role=Role.ADMIN).visible() is None
