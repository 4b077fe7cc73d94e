"""CreateNamespace, GetNamespace, GetNamespaces, DeleteNamespace."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    CreateNamespaceResponse,
    DeleteNamespaceRequest,
    DeleteNamespaceResponse,
    GetNamespaceRequest,
    GetNamespaceResponse,
    GetNamespacesRequest,
    GetNamespacesResponse,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.exceptions import ApplicationError

from controlplane.api import limits
from controlplane.api.declaration import check_name, read_declaration
from controlplane.api.endpoints import Endpoints
from controlplane.api.handlers.regions import regions_of
from controlplane.api.messages import namespace_message, operation_message
from controlplane.api.paging import page_size, page_start, page_token
from controlplane.api.ports import NamespaceWriter
from controlplane.errors import invalid_argument, not_found
from controlplane.identity.types import Principal
from controlplane.ids import namespace_id
from controlplane.store.operations import Claim, Claims
from controlplane.store.queries import ReadModel
from provisioning.ports import NamespaceProjection
from provisioning.types import (
    CreateNamespace,
    DeleteNamespace,
    NamespaceView,
    Operation,
    OperationKind,
)

_PROJECT_ID_FIELD = 5
"""`CreateNamespaceRequest.project_id`, which the generated classes do not know yet."""


@dataclass(frozen=True)
class NamespaceHandlers:
    """Writes go to the entity; reads come from the read model and see every write before them."""

    reads: ReadModel
    claims: Claims
    projection: NamespaceProjection
    writer: NamespaceWriter
    endpoints: Endpoints

    async def create(
        self, caller: Principal, request: CreateNamespaceRequest
    ) -> CreateNamespaceResponse:
        check_name(request.spec.name)
        namespace = namespace_id(request.spec.name, caller.account.id)
        claim = _claim(caller, OperationKind.CREATE, namespace, request, request.async_operation_id)

        async def begin() -> NamespaceView:
            _refuse_tags_and_projects(request)
            regions = regions_of(await self.endpoints.directory.cells())
            spec = read_declaration(request.spec, regions, datetime.now(UTC))
            return await self.writer.create(namespace, CreateNamespace(claim.id, spec))

        operation = await self._begin_once(claim, begin)
        return CreateNamespaceResponse(
            namespace=namespace, async_operation=_message(operation, claim)
        )

    async def delete(
        self, caller: Principal, request: DeleteNamespaceRequest
    ) -> DeleteNamespaceResponse:
        namespace = request.namespace
        claim = _claim(caller, OperationKind.DELETE, namespace, request, request.async_operation_id)

        async def begin() -> NamespaceView:
            await self._visible(caller, namespace)
            return await self.writer.delete(
                namespace, DeleteNamespace(claim.id, request.resource_version)
            )

        operation = await self._begin_once(claim, begin)
        return DeleteNamespaceResponse(async_operation=_message(operation, claim))

    async def get(self, caller: Principal, request: GetNamespaceRequest) -> GetNamespaceResponse:
        view = await self._visible(caller, request.namespace)
        return GetNamespaceResponse(
            namespace=namespace_message(view, await self.endpoints.mtls(view))
        )

    async def list(self, caller: Principal, request: GetNamespacesRequest) -> GetNamespacesResponse:
        listing = f"namespaces of {caller.account.id} named {request.name or '*'}"
        size = page_size(request.page_size)
        # One more than asked for tells whether there is another page.
        views = await self.reads.namespaces(
            caller.account.id,
            after=page_start(listing, request.page_token),
            name=request.name or None,
            limit=size + 1,
        )
        page = views[:size]
        more = len(views) > size
        return GetNamespacesResponse(
            namespaces=[namespace_message(view, await self.endpoints.mtls(view)) for view in page],
            next_page_token=page_token(listing, page[-1].id.rpartition(".")[0]) if more else "",
        )

    async def _visible(self, caller: Principal, namespace: str) -> NamespaceView:
        """Return the namespace; one of another account is as absent as one that never was."""
        view = await self.reads.namespace(caller.account.id, namespace)
        if view is None:
            raise not_found(f"namespace {namespace!r} not found")
        return view

    async def _begin_once(
        self, claim: Claim, begin: Callable[[], Awaitable[NamespaceView]]
    ) -> Operation:
        """Return the claim's operation, begun now unless this request began it before."""
        known = await self.claims.claim(claim)
        if known is not None:
            return known
        try:
            view = await begin()
        except ApplicationError as refusal:
            if refusal.non_retryable:
                await self.claims.withdraw(claim)
            raise
        # The entity publishes this too, but later: a read right after this call must see it.
        await self.projection.publish_namespace(view)
        return next(operation for operation in view.operations if operation.id == claim.id)


def _claim(
    caller: Principal, kind: OperationKind, namespace: str, request: Message, operation_id: str
) -> Claim:
    if operation_id and not limits.OPERATION_ID.fullmatch(operation_id):
        raise invalid_argument(
            f"async_operation_id {operation_id[:200]!r} cannot be used: send up to 200 printable "
            "ASCII characters without blanks, a UUID say, or leave it empty"
        )
    packed = AnyMessage()
    packed.Pack(request, deterministic=True)
    return Claim(
        account=caller.account.id,
        id=operation_id or str(uuid4()),
        kind=kind.value,
        namespace=namespace,
        request=packed.SerializeToString(deterministic=True),
    )


def _message(operation: Operation, claim: Claim) -> AsyncOperation:
    return operation_message(operation, claim.request)


def _refuse_tags_and_projects(request: CreateNamespaceRequest) -> None:
    if request.tags:
        raise invalid_argument("tags are not available yet: create the namespace without them")
    unknown = UnknownFieldSet(request)
    if any(unknown[i].field_number == _PROJECT_ID_FIELD for i in range(len(unknown))):
        raise invalid_argument(
            "project_id: projects are not available yet: leave it empty for the default project"
        )
