"""The RPCs about service accounts."""

from dataclasses import dataclass

from google.protobuf.json_format import MessageToDict
from pydantic import JsonValue
from temporalio.api.cloud.cloudservice.v1 import (
    CreateServiceAccountRequest,
    CreateServiceAccountResponse,
    DeleteServiceAccountRequest,
    DeleteServiceAccountResponse,
    GetServiceAccountNamespaceAssignmentsRequest,
    GetServiceAccountNamespaceAssignmentsResponse,
    GetServiceAccountRequest,
    GetServiceAccountResponse,
    GetServiceAccountsRequest,
    GetServiceAccountsResponse,
    SetServiceAccountNamespaceAccessRequest,
    SetServiceAccountNamespaceAccessResponse,
    UpdateServiceAccountRequest,
    UpdateServiceAccountResponse,
)
from temporalio.api.cloud.identity.v1 import ServiceAccountNamespaceAssignment

from controlplane.api.access_declaration import read_permission, read_service_account
from controlplane.api.access_messages import (
    namespace_access_message,
    service_account_message,
)
from controlplane.api.changes import note_change
from controlplane.api.messages import operation_message
from controlplane.api.once import claim_of
from controlplane.api.paging import page_size, page_start, page_token
from controlplane.errors import not_found
from controlplane.identity.permissions import authorize, authorize_service_account
from controlplane.identity.service_accounts import ServiceAccounts, no_such_service_account
from controlplane.identity.types import Principal, Role, ServiceAccount
from controlplane.store.operations import AccessChange, Claim
from controlplane.store.queries import ReadModel


@dataclass(frozen=True)
class ServiceAccountHandlers:
    """Whose service account a request is about decides who may make it (`identity.permissions`)."""

    accounts: ServiceAccounts
    reads: ReadModel

    async def create(
        self, caller: Principal, request: CreateServiceAccountRequest
    ) -> CreateServiceAccountResponse:
        spec = read_service_account(request.spec)
        authorize(caller, "service-accounts.manage", spec.scope)
        if spec.access.role is Role.OWNER:
            authorize(caller, "owners.manage", None)
        claim = _claim(caller, AccessChange.CREATE_SERVICE_ACCOUNT, request)
        operation, service_account = await self.accounts.create(claim, spec)
        note_change(None, MessageToDict(request.spec))
        return CreateServiceAccountResponse(
            service_account_id=service_account,
            async_operation=operation_message(operation, claim.request),
        )

    async def get(
        self, caller: Principal, request: GetServiceAccountRequest
    ) -> GetServiceAccountResponse:
        found = await self.accounts.get(caller.account.id, request.service_account_id)
        if found is None:
            raise no_such_service_account(request.service_account_id)
        return GetServiceAccountResponse(service_account=service_account_message(found))

    async def list(
        self, caller: Principal, request: GetServiceAccountsRequest
    ) -> GetServiceAccountsResponse:
        listing = f"service accounts of {caller.account.id}"
        size = page_size(request.page_size)
        # One more than asked for tells whether there is another page.
        found = await self.accounts.page(
            caller.account.id, after=page_start(listing, request.page_token), limit=size + 1
        )
        return GetServiceAccountsResponse(
            service_account=map(service_account_message, found[:size]),
            next_page_token=page_token(listing, found[size - 1].id) if len(found) > size else "",
        )

    async def update(
        self, caller: Principal, request: UpdateServiceAccountRequest
    ) -> UpdateServiceAccountResponse:
        spec = read_service_account(request.spec)
        before = await self._manageable(caller, request.service_account_id)
        if spec.access.role is Role.OWNER:
            authorize(caller, "owners.manage", None)
        claim = _claim(caller, AccessChange.UPDATE_SERVICE_ACCOUNT, request)
        operation = await self.accounts.update(
            claim, request.service_account_id, spec, request.resource_version
        )
        if before is not None:
            note_change(_spec(before), MessageToDict(request.spec))
        return UpdateServiceAccountResponse(
            async_operation=operation_message(operation, claim.request)
        )

    async def delete(
        self, caller: Principal, request: DeleteServiceAccountRequest
    ) -> DeleteServiceAccountResponse:
        before = await self._manageable(caller, request.service_account_id)
        claim = _claim(caller, AccessChange.DELETE_SERVICE_ACCOUNT, request)
        operation = await self.accounts.delete(
            claim, request.service_account_id, request.resource_version
        )
        if before is not None:
            note_change(_spec(before), None)
        return DeleteServiceAccountResponse(
            async_operation=operation_message(operation, claim.request)
        )

    async def set_namespace_access(
        self, caller: Principal, request: SetServiceAccountNamespaceAccessRequest
    ) -> SetServiceAccountNamespaceAccessResponse:
        permission = read_permission(request.access)
        before = await self.accounts.get(caller.account.id, request.service_account_id)
        claim = _claim(caller, AccessChange.SET_SERVICE_ACCOUNT_NAMESPACE_ACCESS, request)
        operation = await self.accounts.set_namespace_access(
            claim,
            request.service_account_id,
            request.namespace,
            permission,
            request.resource_version,
        )
        if before is not None:
            held = before.access.namespaces.get(request.namespace)
            note_change(held and held.value, permission and permission.value)
        return SetServiceAccountNamespaceAccessResponse(
            async_operation=operation_message(operation, claim.request)
        )

    async def of_namespace(
        self, caller: Principal, request: GetServiceAccountNamespaceAssignmentsRequest
    ) -> GetServiceAccountNamespaceAssignmentsResponse:
        account, namespace = caller.account.id, request.namespace
        if await self.reads.namespace(account, namespace) is None:
            raise not_found(f"namespace {namespace!r} not found")
        listing = f"service accounts of {namespace}"
        size = page_size(request.page_size)
        found = await self.accounts.of_namespace(
            account,
            namespace,
            after=page_start(listing, request.page_token),
            limit=size + 1,
        )
        return GetServiceAccountNamespaceAssignmentsResponse(
            service_accounts=[_assignment(one, namespace) for one in found[:size]],
            next_page_token=page_token(listing, found[size - 1].id) if len(found) > size else "",
        )

    async def _manageable(self, caller: Principal, service_account: str) -> ServiceAccount | None:
        """Return the service account if the caller may manage it.

        None if there is none: it may be the same request that deleted it, asked once more.
        """
        found = await self.accounts.get(caller.account.id, service_account)
        if found is not None:
            authorize_service_account(caller, found)
        return found


_Change = (
    CreateServiceAccountRequest
    | UpdateServiceAccountRequest
    | DeleteServiceAccountRequest
    | SetServiceAccountNamespaceAccessRequest
)


def _claim(caller: Principal, kind: AccessChange, request: _Change) -> Claim:
    return claim_of(caller, kind, "", request, request.async_operation_id)


def _spec(service_account: ServiceAccount) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = MessageToDict(service_account_message(service_account).spec)
    return shown


def _assignment(
    service_account: ServiceAccount, namespace: str
) -> ServiceAccountNamespaceAssignment:
    """Return what it may do in the namespace: by permission, or by account role."""
    access = service_account.access
    return ServiceAccountNamespaceAssignment(
        id=service_account.id,
        name=service_account.name,
        resource_version=service_account.resource_version,
        namespace_access=namespace_access_message(access.permission(namespace)),
        inherited_access=access.everywhere,
    )
