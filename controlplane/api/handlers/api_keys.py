"""The RPCs about API keys.

A key is made for a service account or for the caller itself: a user's keys are made by nobody
else. The same CreateApiKey, sent again under its operation id, is answered with the same key and a
token of it: not the same text, for each signature differs, but as good.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.json_format import MessageToDict
from pydantic import JsonValue
from temporalio.api.cloud.cloudservice.v1 import (
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    DeleteApiKeyRequest,
    DeleteApiKeyResponse,
    GetApiKeyRequest,
    GetApiKeyResponse,
    GetApiKeysRequest,
    GetApiKeysResponse,
    UpdateApiKeyRequest,
    UpdateApiKeyResponse,
)

from controlplane.api.access_declaration import (
    read_key_change,
    read_new_key,
    read_owner_type,
)
from controlplane.api.access_messages import api_key_message
from controlplane.api.changes import note_change
from controlplane.api.messages import operation_message
from controlplane.api.once import claim_of
from controlplane.api.paging import page_size, page_start, page_token
from controlplane.identity.managed_keys import ManagedKeys, no_such_key
from controlplane.identity.permissions import authorize_key, authorize_new_key, keys_in_sight
from controlplane.identity.service_accounts import ServiceAccounts
from controlplane.identity.types import ApiKey, OwnerType, Principal, ServiceAccount, User
from controlplane.identity.users import Users
from controlplane.store.operations import AccessChange, Claim

_Change = CreateApiKeyRequest | UpdateApiKeyRequest | DeleteApiKeyRequest


@dataclass(frozen=True)
class ApiKeyHandlers:
    """Whose key a request is about decides who may make it (`identity.permissions`)."""

    keys: ManagedKeys
    service_accounts: ServiceAccounts
    users: Users

    async def create(self, caller: Principal, request: CreateApiKeyRequest) -> CreateApiKeyResponse:
        spec = read_new_key(request.spec)
        authorize_new_key(caller, await self._owner(caller, spec.owner_type, spec.owner_id))
        claim = _claim(caller, AccessChange.CREATE_API_KEY, request)
        made = await self.keys.create(claim, spec)
        note_change(None, {"id": made.id, **MessageToDict(request.spec)})
        return CreateApiKeyResponse(
            key_id=made.id,
            token=made.token,
            async_operation=operation_message(made.operation, claim.request),
        )

    async def get(self, caller: Principal, request: GetApiKeyRequest) -> GetApiKeyResponse:
        found = await self.keys.get(caller.account.id, request.key_id, keys_in_sight(caller))
        if found is None:
            raise no_such_key(request.key_id)
        return GetApiKeyResponse(api_key=api_key_message(found, datetime.now(UTC)))

    async def list(self, caller: Principal, request: GetApiKeysRequest) -> GetApiKeysResponse:
        owner_type = read_owner_type(request.owner_type, request.owner_type_deprecated)
        listing = f"API keys of {caller.account.id}, {request.owner_id!r}, {owner_type}"
        size = page_size(request.page_size)
        # One more than asked for tells whether there is another page.
        found = await self.keys.page(
            caller.account.id,
            keys_in_sight(caller),
            owner=request.owner_id,
            owner_type=owner_type,
            after=page_start(listing, request.page_token),
            limit=size + 1,
        )
        now = datetime.now(UTC)
        return GetApiKeysResponse(
            api_keys=[api_key_message(key, now) for key in found[:size]],
            next_page_token=page_token(listing, found[size - 1].id) if len(found) > size else "",
        )

    async def update(self, caller: Principal, request: UpdateApiKeyRequest) -> UpdateApiKeyResponse:
        change = read_key_change(request.spec)
        before = await self._changeable(caller, request.key_id)
        claim = _claim(caller, AccessChange.UPDATE_API_KEY, request)
        operation = await self.keys.update(
            claim, keys_in_sight(caller), request.key_id, change, request.resource_version
        )
        if before is not None:
            note_change(_spec(before), MessageToDict(request.spec))
        return UpdateApiKeyResponse(async_operation=operation_message(operation, claim.request))

    async def delete(self, caller: Principal, request: DeleteApiKeyRequest) -> DeleteApiKeyResponse:
        before = await self._changeable(caller, request.key_id)
        claim = _claim(caller, AccessChange.DELETE_API_KEY, request)
        operation = await self.keys.delete(
            claim, keys_in_sight(caller), request.key_id, request.resource_version
        )
        if before is not None:
            note_change(_spec(before), None)
        return DeleteApiKeyResponse(async_operation=operation_message(operation, claim.request))

    async def _changeable(self, caller: Principal, key: str) -> ApiKey | None:
        """Return the key if the caller may change it.

        None if there is none in its sight: it may be the same request that deleted it, asked once
        more.
        """
        found = await self.keys.get(caller.account.id, key, keys_in_sight(caller))
        if found is not None:
            owner = await self._owner(caller, found.owner_type, found.owner_id)
            authorize_key(caller, owner)
        return found

    async def _owner(
        self, caller: Principal, owner_type: OwnerType, owner: str
    ) -> User | ServiceAccount | None:
        match owner_type:
            case OwnerType.USER:
                return await self.users.get(caller.account.id, owner)
            case OwnerType.SERVICE_ACCOUNT:
                return await self.service_accounts.get(caller.account.id, owner)


def _claim(caller: Principal, kind: AccessChange, request: _Change) -> Claim:
    return claim_of(caller, kind, "", request, request.async_operation_id)


def _spec(key: ApiKey) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = MessageToDict(api_key_message(key, datetime.now(UTC)).spec)
    return shown
