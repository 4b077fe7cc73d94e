"""GetCurrentIdentity, GetUser, GetUsers: who is calling, and who else there is."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.cloud.cloudservice.v1 import (
    GetCurrentIdentityRequest,
    GetCurrentIdentityResponse,
    GetUserRequest,
    GetUserResponse,
    GetUsersRequest,
    GetUsersResponse,
)

from controlplane.api.access_messages import (
    api_key_message,
    service_account_message,
    user_message,
)
from controlplane.api.paging import page_size, page_start, page_token
from controlplane.errors import not_found
from controlplane.identity.types import Principal, User
from controlplane.identity.users import Users


async def get_current_identity(
    caller: Principal, _: GetCurrentIdentityRequest
) -> GetCurrentIdentityResponse:
    key = api_key_message(caller.key, datetime.now(UTC))
    if isinstance(caller.owner, User):
        return GetCurrentIdentityResponse(user=user_message(caller.owner), principal_api_key=key)
    return GetCurrentIdentityResponse(
        service_account=service_account_message(caller.owner), principal_api_key=key
    )


@dataclass(frozen=True)
class UserHandlers:
    users: Users

    async def get(self, caller: Principal, request: GetUserRequest) -> GetUserResponse:
        found = await self.users.get(caller.account.id, request.user_id)
        if found is None:
            raise not_found(f"user {request.user_id[:100]!r} not found")
        return GetUserResponse(user=user_message(found))

    async def list(self, caller: Principal, request: GetUsersRequest) -> GetUsersResponse:
        account = caller.account.id
        listing = f"users of {account}, {request.email!r}, {request.namespace!r}"
        size = page_size(request.page_size)
        # One more than asked for tells whether there is another page.
        found = await self.users.page(
            account,
            email=request.email,
            namespace=request.namespace,
            after=page_start(listing, request.page_token),
            limit=size + 1,
        )
        return GetUsersResponse(
            users=map(user_message, found[:size]),
            next_page_token=page_token(listing, found[size - 1].id) if len(found) > size else "",
        )
