"""Roles and permissions as people write them, and as the Cloud Ops API has them."""

from collections.abc import Sequence

from temporalio.api.cloud.identity.v1 import (
    Access,
    AccountAccess,
    NamespaceAccess,
    NamespaceScopedAccess,
    ServiceAccountSpec,
)

from controlplane.cli.api import Api
from controlplane.cli.failures import UsageError
from controlplane.identity.types import Permission, Role

ROLES = ", ".join(role for role in Role if role)
PERMISSIONS = ", ".join(Permission)

_ROLES = {
    Role.OWNER: AccountAccess.ROLE_OWNER,
    Role.ADMIN: AccountAccess.ROLE_ADMIN,
    Role.DEVELOPER: AccountAccess.ROLE_DEVELOPER,
    Role.FINANCE_ADMIN: AccountAccess.ROLE_FINANCE_ADMIN,
    Role.READ: AccountAccess.ROLE_READ,
    Role.METRICS_READ: AccountAccess.ROLE_METRICS_READ,
    Role.NONE: AccountAccess.ROLE_UNSPECIFIED,
}
_PERMISSIONS = {
    Permission.ADMIN: NamespaceAccess.PERMISSION_ADMIN,
    Permission.WRITE: NamespaceAccess.PERMISSION_WRITE,
    Permission.READ: NamespaceAccess.PERMISSION_READ,
}


def read_role(text: str) -> AccountAccess.Role.ValueType:
    """Return the role of this name; raise UsageError for another."""
    try:
        return _ROLES[Role(text.lower())]
    except ValueError as error:
        raise UsageError(f"there is no role {text!r}; there are {ROLES}") from error


def read_permission(text: str) -> NamespaceAccess:
    """Return the permission of this name; raise UsageError for another."""
    try:
        return NamespaceAccess(permission=_PERMISSIONS[Permission(text.lower())])
    except ValueError as error:
        raise UsageError(f"there is no permission {text!r}; there are {PERMISSIONS}") from error


async def read_accesses(api: Api, texts: Sequence[str]) -> dict[str, NamespaceAccess]:
    """Return what `NAMESPACE=permission` texts say, by full namespace id."""
    accesses = {}
    for text in texts:
        namespace, separator, permission = text.partition("=")
        if not namespace or not separator:
            raise UsageError(f"namespace access {text!r} is not NAMESPACE=permission")
        accesses[await api.namespace_id(namespace)] = read_permission(permission)
    return accesses


def told(spec: ServiceAccountSpec) -> str:
    """Return what a service account may do, for people."""
    if spec.HasField("namespace_scoped_access"):
        return _scoped(spec.namespace_scoped_access)
    return told_access(spec.access)


def told_access(access: Access) -> str:
    role = next((r for r, n in _ROLES.items() if n == access.account_access.role), Role.NONE)
    namespaces = [
        f"{_permission(granted)} of {namespace}"
        for namespace, granted in sorted(access.namespace_accesses.items())
    ]
    return ", ".join([f"account {role}"] * bool(role) + namespaces) or "nothing"


def _scoped(scoped: NamespaceScopedAccess) -> str:
    return f"{_permission(scoped.access)} of {scoped.namespace} alone"


def _permission(access: NamespaceAccess) -> str:
    known = {number: permission for permission, number in _PERMISSIONS.items()}
    found = known.get(access.permission)
    return str(found) if found else f"permission {access.permission}"
