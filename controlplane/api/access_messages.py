"""Identities as the Cloud Ops API's messages: its present fields, and their older text twins."""

from datetime import datetime

from temporalio.api.cloud.identity.v1 import message_pb2 as pb
from temporalio.api.cloud.resource.v1 import ResourceState

from controlplane.api.messages import timestamp
from controlplane.identity.types import (
    Access,
    ApiKey,
    OpenOperation,
    OwnerType,
    Permission,
    Role,
    ServiceAccount,
    User,
)

ROLES: dict[Role, pb.AccountAccess.Role.ValueType] = {
    Role.OWNER: pb.AccountAccess.ROLE_OWNER,
    Role.ADMIN: pb.AccountAccess.ROLE_ADMIN,
    Role.DEVELOPER: pb.AccountAccess.ROLE_DEVELOPER,
    Role.FINANCE_ADMIN: pb.AccountAccess.ROLE_FINANCE_ADMIN,
    Role.READ: pb.AccountAccess.ROLE_READ,
    Role.METRICS_READ: pb.AccountAccess.ROLE_METRICS_READ,
    Role.NONE: pb.AccountAccess.ROLE_UNSPECIFIED,
}
PERMISSIONS: dict[Permission, pb.NamespaceAccess.Permission.ValueType] = {
    Permission.ADMIN: pb.NamespaceAccess.PERMISSION_ADMIN,
    Permission.WRITE: pb.NamespaceAccess.PERMISSION_WRITE,
    Permission.READ: pb.NamespaceAccess.PERMISSION_READ,
}
OWNER_TYPES: dict[OwnerType, pb.OwnerType.ValueType] = {
    OwnerType.USER: pb.OWNER_TYPE_USER,
    OwnerType.SERVICE_ACCOUNT: pb.OWNER_TYPE_SERVICE_ACCOUNT,
}


def user_message(user: User) -> pb.User:
    message = pb.User(
        id=user.id,
        resource_version=user.resource_version,
        spec=pb.UserSpec(email=user.email, access=access_message(user.access)),
        state=ResourceState.RESOURCE_STATE_ACTIVE,
        state_deprecated="active",
        created_time=timestamp(user.created_at),
    )
    if user.modified_at is not None:
        message.last_modified_time.CopyFrom(timestamp(user.modified_at))
    return message


def service_account_message(account: ServiceAccount) -> pb.ServiceAccount:
    """Return the service account; with a scope, its `access` is absent, as clients expect."""
    spec = pb.ServiceAccountSpec(name=account.name, description=account.description)
    if account.scope is None:
        spec.access.CopyFrom(access_message(account.access))
    else:
        spec.namespace_scoped_access.namespace = account.scope
        spec.namespace_scoped_access.access.CopyFrom(
            namespace_access_message(account.access.namespaces.get(account.scope))
        )
    message = pb.ServiceAccount(
        id=account.id,
        resource_version=account.resource_version,
        spec=spec,
        created_time=timestamp(account.created_at),
    )
    _fill_state(message, account.operation)
    if account.modified_at is not None:
        message.last_modified_time.CopyFrom(timestamp(account.modified_at))
    return message


def api_key_message(key: ApiKey, now: datetime) -> pb.ApiKey:
    """Return the key as of `now`: a disabled one is still active, an expired one is not."""
    message = pb.ApiKey(
        id=key.id,
        resource_version=key.resource_version,
        spec=pb.ApiKeySpec(
            owner_id=key.owner_id,
            owner_type=OWNER_TYPES[key.owner_type],
            owner_type_deprecated=key.owner_type.value,
            display_name=key.display_name,
            description=key.description,
            expiry_time=timestamp(key.expires_at),
            disabled=key.disabled,
        ),
        created_time=timestamp(key.created_at),
    )
    _fill_state(message, key.operation)
    if key.expires_at <= now:
        message.state = ResourceState.RESOURCE_STATE_EXPIRED
        message.state_deprecated = "expired"
    if key.modified_at is not None:
        message.last_modified_time.CopyFrom(timestamp(key.modified_at))
    return message


def access_message(access: Access) -> pb.Access:
    message = pb.Access(
        account_access=pb.AccountAccess(role=ROLES[access.role], role_deprecated=access.role.value)
    )
    for namespace, permission in access.namespaces.items():
        message.namespace_accesses[namespace].CopyFrom(namespace_access_message(permission))
    return message


def namespace_access_message(permission: Permission | None) -> pb.NamespaceAccess:
    """Return the permission; none at all is an empty message."""
    if permission is None:
        return pb.NamespaceAccess()
    return pb.NamespaceAccess(
        permission=PERMISSIONS[permission], permission_deprecated=permission.value
    )


def _fill_state(message: pb.ServiceAccount | pb.ApiKey, operation: OpenOperation | None) -> None:
    """Say which operation is at work on the resource, if one is."""
    state = "ACTIVE"
    if operation is not None:
        message.async_operation_id = operation.id
        state = "ACTIVATING" if operation.creates else "UPDATING"
    message.state = ResourceState.Value(f"RESOURCE_STATE_{state}")
    message.state_deprecated = state.lower()
