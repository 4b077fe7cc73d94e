"""GetCurrentIdentity and GetAccount: who is calling, and for whom."""

from temporalio.api.cloud.account.v1 import Account, AccountSpec
from temporalio.api.cloud.cloudservice.v1 import (
    GetAccountRequest,
    GetAccountResponse,
    GetCurrentIdentityRequest,
    GetCurrentIdentityResponse,
)
from temporalio.api.cloud.identity.v1 import (
    Access,
    AccountAccess,
    ApiKey,
    ApiKeySpec,
    OwnerType,
    User,
    UserSpec,
)
from temporalio.api.cloud.resource.v1 import ResourceState

from controlplane.api.messages import timestamp
from controlplane.identity.types import Principal, Role

_ROLES: dict[Role, AccountAccess.Role.ValueType] = {Role.OWNER: AccountAccess.ROLE_OWNER}
# Neither accounts, nor users, nor keys can be changed through this API.
_ONLY_VERSION = "1"


async def get_current_identity(
    caller: Principal, _: GetCurrentIdentityRequest
) -> GetCurrentIdentityResponse:
    return GetCurrentIdentityResponse(user=_user(caller), principal_api_key=_api_key(caller))


async def get_account(caller: Principal, _: GetAccountRequest) -> GetAccountResponse:
    return GetAccountResponse(
        account=Account(
            id=caller.account.id,
            spec=AccountSpec(),
            resource_version=_ONLY_VERSION,
            state=ResourceState.RESOURCE_STATE_ACTIVE,
        )
    )


def _user(caller: Principal) -> User:
    user = caller.user
    access = AccountAccess(role=_ROLES[user.role], role_deprecated=user.role.value)
    return User(
        id=user.id,
        resource_version=_ONLY_VERSION,
        spec=UserSpec(email=user.email, access=Access(account_access=access)),
        state=ResourceState.RESOURCE_STATE_ACTIVE,
        state_deprecated="active",
        created_time=timestamp(user.created_at),
    )


def _api_key(caller: Principal) -> ApiKey:
    key = caller.key
    return ApiKey(
        id=key.id,
        resource_version=_ONLY_VERSION,
        spec=ApiKeySpec(
            owner_id=caller.user.id,
            owner_type=OwnerType.OWNER_TYPE_USER,
            owner_type_deprecated="user",
            display_name=key.display_name,
            expiry_time=timestamp(key.expires_at),
        ),
        state=ResourceState.RESOURCE_STATE_ACTIVE,
        state_deprecated="active",
        created_time=timestamp(key.created_at),
    )
