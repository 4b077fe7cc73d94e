"""Specs of service accounts and API keys as requests declare them, checked."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.unknown_fields import UnknownFieldSet
from temporalio.api.cloud.identity.v1 import message_pb2 as pb

from controlplane.api.access_messages import OWNER_TYPES, PERMISSIONS, ROLES
from controlplane.errors import invalid_argument
from controlplane.identity.managed_keys import ApiKeyChange, ApiKeySpec
from controlplane.identity.service_accounts import ServiceAccountSpec
from controlplane.identity.types import (
    RUNS_THE_ACCOUNT,
    Access,
    OwnerType,
    Permission,
    Role,
)

SERVICE_ACCOUNT_NAME = re.compile(r"[a-zA-Z0-9.,:_/@ -]{1,64}")
"""Temporal Cloud, "System limits"."""
LONGEST_DISPLAY_NAME = 64
LONGEST_DESCRIPTION = 1000
"""Ours, as is the one before. Characters."""

_PROJECT_SCOPED_ACCESS = 5
"""`ServiceAccountSpec.project_scoped_access`, which the generated classes do not know yet."""
_ROLES: Mapping[int, Role] = {number: role for role, number in ROLES.items()}
_PERMISSIONS: Mapping[int, Permission] = {number: what for what, number in PERMISSIONS.items()}
_OWNER_TYPES: Mapping[int, OwnerType] = {number: owner for owner, number in OWNER_TYPES.items()}


def read_service_account(spec: pb.ServiceAccountSpec) -> ServiceAccountSpec:
    """Return what the spec asks for; raise `invalid_argument` where it cannot be meant."""
    unknown = UnknownFieldSet(spec)
    if any(unknown[i].field_number == _PROJECT_SCOPED_ACCESS for i in range(len(unknown))):
        raise invalid_argument(
            "spec.project_scoped_access: projects are not available: send access or "
            "namespace_scoped_access"
        )
    if not SERVICE_ACCOUNT_NAME.fullmatch(spec.name):
        raise invalid_argument(
            f"spec.name {spec.name[:100]!r} cannot name a service account: send 1 to 64 letters, "
            "digits, blanks and . , : - _ / @"
        )
    description = _text("description", spec.description, LONGEST_DESCRIPTION)
    if spec.HasField("access") == spec.HasField("namespace_scoped_access"):
        raise invalid_argument(
            "spec has to say what the service account may do: send exactly one of access and "
            "namespace_scoped_access"
        )
    if spec.HasField("access"):
        return ServiceAccountSpec(spec.name, description, _access(spec.access), scope=None)
    scoped = spec.namespace_scoped_access
    if not scoped.namespace:
        raise invalid_argument(
            "spec.namespace_scoped_access.namespace is empty: send a namespace's full id"
        )
    permission = read_permission(scoped.access)
    if permission is None:
        raise invalid_argument(
            "spec.namespace_scoped_access.access.permission is missing: send one of "
            + _choices(Permission)
        )
    access = Access(Role.NONE, {scoped.namespace: permission})
    return ServiceAccountSpec(spec.name, description, access, scoped.namespace)


def read_permission(access: pb.NamespaceAccess) -> Permission | None:
    """Return the permission, by its number or its older text; None if the message is empty."""
    if access.permission in _PERMISSIONS:
        return _PERMISSIONS[access.permission]
    told = str(access.permission or access.permission_deprecated)
    if not told or told == "0":
        return None
    if access.permission or told not in set(Permission):
        raise invalid_argument(
            f"permission {told[:100]!r} is not known: send one of {_choices(Permission)}"
        )
    return Permission(told)


def read_owner_type(number: int, text: str) -> OwnerType | None:
    """Return the type of a key's owner, by its number or its older text; None if neither is."""
    if number in _OWNER_TYPES:
        return _OWNER_TYPES[number]
    if not number and not text:
        return None
    if number or text not in set(OwnerType):
        raise invalid_argument(
            f"owner_type {str(number or text)[:100]!r} is not known: send one of "
            + _choices(OwnerType)
        )
    return OwnerType(text)


def read_new_key(spec: pb.ApiKeySpec) -> ApiKeySpec:
    """Return the key that the spec asks for."""
    owner_type = read_owner_type(spec.owner_type, spec.owner_type_deprecated)
    if owner_type is None or not spec.owner_id:
        raise invalid_argument(
            "spec.owner_id or spec.owner_type is missing: send whom the key speaks for, a service "
            "account or yourself"
        )
    expires_at = _expiry(spec)
    if expires_at is None:
        raise invalid_argument("spec.expiry_time is missing: send when the key is to expire")
    return ApiKeySpec(
        _text("owner_id", spec.owner_id, LONGEST_DESCRIPTION),
        owner_type,
        _display_name(spec),
        _text("description", spec.description, LONGEST_DESCRIPTION),
        expires_at,
        spec.disabled,
    )


def read_key_change(spec: pb.ApiKeySpec) -> ApiKeyChange:
    """Return what the spec wants an existing key to be."""
    return ApiKeyChange(
        _display_name(spec),
        _text("description", spec.description, LONGEST_DESCRIPTION),
        spec.disabled,
        spec.owner_id,
        read_owner_type(spec.owner_type, spec.owner_type_deprecated),
        _expiry(spec),
    )


def _access(access: pb.Access) -> Access:
    if access.account_access.custom_roles or access.custom_roles_deprecated:
        raise invalid_argument(
            "spec.access.account_access.custom_roles: custom roles are not available: send a role"
        )
    role = _role(access.account_access)
    namespaces = {}
    for namespace, granted in access.namespace_accesses.items():
        permission = read_permission(granted)
        if permission is None:
            raise invalid_argument(
                f"spec.access.namespace_accesses[{namespace[:100]!r}] has no permission: send one "
                f"of {_choices(Permission)}, or leave the namespace out"
            )
        namespaces[namespace] = permission
    if namespaces and role in RUNS_THE_ACCOUNT:
        raise invalid_argument(
            f"spec.access: account role {role} is admin of every namespace, and takes no "
            "namespace_accesses: leave them out, or choose another role"
        )
    return Access(role, namespaces)


def _role(access: pb.AccountAccess) -> Role:
    role = _ROLES.get(access.role)
    if role is Role.NONE:
        told = access.role_deprecated
        role = Role(told) if told in set(Role) else None
        if role is None:
            raise invalid_argument(
                f"spec.access.account_access.role {told[:100]!r} is not known: send one of "
                + _choices(Role)
            )
    if not role:
        raise invalid_argument(
            f"spec.access.account_access.role is missing or not known ({access.role}): send one "
            f"of {_choices(Role)}"
        )
    return role


def _display_name(spec: pb.ApiKeySpec) -> str:
    if not spec.display_name.strip():
        raise invalid_argument("spec.display_name is empty: send a name to know the key by")
    return _text("display_name", spec.display_name, LONGEST_DISPLAY_NAME)


def _expiry(spec: pb.ApiKeySpec) -> datetime | None:
    if not spec.HasField("expiry_time"):
        return None
    try:
        return spec.expiry_time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid_argument("spec.expiry_time is no time between the years 1 and 9999") from None


def _text(name: str, value: str, longest: int) -> str:
    if len(value) > longest:
        raise invalid_argument(f"spec.{name} has {len(value)} characters: send up to {longest}")
    return value


def _choices(of: type[Role | Permission | OwnerType]) -> str:
    return ", ".join(one.value for one in of if one.value)
