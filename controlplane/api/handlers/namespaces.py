"""The RPCs about namespaces: create, read, list, update, rename an attribute, tag, delete."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.json_format import MessageToDict
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
    RenameCustomSearchAttributeRequest,
    RenameCustomSearchAttributeResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
    UpdateNamespaceTagsRequest,
    UpdateNamespaceTagsResponse,
)

from controlplane.api.changes import note_change
from controlplane.api.declaration import check_name, read_declaration, read_replacement
from controlplane.api.endpoints import Endpoints
from controlplane.api.handlers.regions import regions_of
from controlplane.api.handlers.replacing import Replacing
from controlplane.api.messages import declaration, operation_message
from controlplane.api.namespace_messages import NamespaceMessages
from controlplane.api.once import Once, claim_of
from controlplane.api.paging import page_size, page_start, page_token
from controlplane.api.ports import NamespaceWriter
from controlplane.api.replica_rules import ReplicaRules
from controlplane.api.search_attributes import check_search_attribute_name
from controlplane.api.tags import check_tag_change, check_tags
from controlplane.api.versions import caller_version
from controlplane.errors import invalid_argument
from controlplane.identity.limits import AccountLimitsReader
from controlplane.identity.permissions import authorize
from controlplane.identity.quota import Quota
from controlplane.identity.types import Principal
from controlplane.ids import namespace_id
from controlplane.store.queries import ReadModel
from provisioning.types import (
    CreateNamespace,
    DeleteNamespace,
    NamespaceSpec,
    NamespaceView,
    OperationKind,
    RenameSearchAttribute,
    UpdateTags,
)

_PROJECT_ID_FIELD = 5
"""`CreateNamespaceRequest.project_id`, which the generated classes do not know yet."""


@dataclass(frozen=True)
class NamespaceHandlers:
    """Writes go to the entity; reads come from the read model and see every write before them."""

    reads: ReadModel
    once: Once
    writer: NamespaceWriter
    replacing: Replacing
    endpoints: Endpoints
    messages: NamespaceMessages
    limits: AccountLimitsReader
    quota: Quota
    replica_cooldown: timedelta
    """How long a namespace does not return to a region that it left."""

    async def create(
        self, caller: Principal, request: CreateNamespaceRequest
    ) -> CreateNamespaceResponse:
        check_name(request.spec.name)
        if request.tags:
            authorize(caller, "CreateNamespace.tags", None)
        namespace = namespace_id(request.spec.name, caller.account.id)
        claim = claim_of(
            caller, OperationKind.CREATE, namespace, request, request.async_operation_id
        )

        async def ask() -> NamespaceView:
            _refuse_projects(request)
            allowed = await self.limits.of(caller.account.id)
            check_tags(request.tags, allowed.tags_per_namespace)
            spec = read_declaration(
                request.spec,
                await self._rules(),
                allowed,
                datetime.now(UTC),
                caller_version(),
            )
            await self.quota.check_namespace_count(caller.account.id, claim.id, namespace)
            return await self.writer.create(
                namespace, CreateNamespace(claim.id, spec, dict(sorted(request.tags.items())))
            )

        operation = await self.once.begin(claim, ask)
        return CreateNamespaceResponse(
            namespace=namespace, async_operation=operation_message(operation, claim.request)
        )

    async def update(
        self, caller: Principal, request: UpdateNamespaceRequest
    ) -> UpdateNamespaceResponse:
        claim = claim_of(
            caller, OperationKind.UPDATE, request.namespace, request, request.async_operation_id
        )

        async def replaced(view: NamespaceView) -> NamespaceSpec:
            return read_replacement(
                request.spec,
                view,
                await self._rules(),
                await self.limits.of(caller.account.id),
                datetime.now(UTC),
                caller_version(),
            )

        async def ask() -> NamespaceView:
            return await self.replacing.replace(
                caller,
                request.namespace,
                request.resource_version,
                claim.id,
                OperationKind.UPDATE,
                replaced,
            )

        operation = await self.once.begin(claim, ask)
        return UpdateNamespaceResponse(async_operation=operation_message(operation, claim.request))

    async def rename_search_attribute(
        self, caller: Principal, request: RenameCustomSearchAttributeRequest
    ) -> RenameCustomSearchAttributeResponse:
        old = request.existing_custom_search_attribute_name
        new = request.new_custom_search_attribute_name
        check_search_attribute_name(new)
        claim = claim_of(
            caller, OperationKind.RENAME, request.namespace, request, request.async_operation_id
        )

        async def ask() -> NamespaceView:
            await self.replacing.visible(caller, request.namespace)
            asked = RenameSearchAttribute(claim.id, request.resource_version, old, new)
            renamed = await self.writer.rename_search_attribute(request.namespace, asked)
            note_change({"searchAttribute": old}, {"searchAttribute": new})
            return renamed

        operation = await self.once.begin(claim, ask)
        return RenameCustomSearchAttributeResponse(
            async_operation=operation_message(operation, claim.request)
        )

    async def tag(
        self, caller: Principal, request: UpdateNamespaceTagsRequest
    ) -> UpdateNamespaceTagsResponse:
        claim = claim_of(
            caller, OperationKind.TAG, request.namespace, request, request.async_operation_id
        )

        async def ask() -> NamespaceView:
            view = await self.replacing.visible(caller, request.namespace)
            at_most = (await self.limits.of(caller.account.id)).tags_per_namespace
            upsert, remove = request.tags_to_upsert, request.tags_to_remove
            check_tag_change(view.tags, upsert, remove, at_most)
            asked = UpdateTags(claim.id, dict(sorted(upsert.items())), tuple(sorted(set(remove))))
            tagged = await self.writer.tag(request.namespace, asked)
            note_change({"tags": {**view.tags}}, {"tags": {**tagged.tags}})
            return tagged

        operation = await self.once.begin(claim, ask)
        return UpdateNamespaceTagsResponse(
            async_operation=operation_message(operation, claim.request)
        )

    async def delete(
        self, caller: Principal, request: DeleteNamespaceRequest
    ) -> DeleteNamespaceResponse:
        claim = claim_of(
            caller, OperationKind.DELETE, request.namespace, request, request.async_operation_id
        )

        async def ask() -> NamespaceView:
            view = await self.replacing.visible(caller, request.namespace)
            deleted = await self.writer.delete(
                request.namespace, DeleteNamespace(claim.id, request.resource_version)
            )
            note_change(MessageToDict(declaration(view)), None)
            return deleted

        operation = await self.once.begin(claim, ask)
        return DeleteNamespaceResponse(async_operation=operation_message(operation, claim.request))

    async def get(self, caller: Principal, request: GetNamespaceRequest) -> GetNamespaceResponse:
        view = await self.replacing.visible(caller, request.namespace)
        return GetNamespaceResponse(namespace=await self.messages.of(view, caller_version()))

    async def list(self, caller: Principal, request: GetNamespacesRequest) -> GetNamespacesResponse:
        listing = f"namespaces of {caller.account.id} named {request.name or '*'}"
        size = page_size(request.page_size)
        # One more than asked for tells whether there is another page.
        views = await self.reads.namespaces(
            caller.account.id,
            after=page_start(listing, request.page_token),
            name=request.name or None,
            within=caller.access.visible(),
            limit=size + 1,
        )
        page, version = views[:size], caller_version()
        more = len(views) > size
        return GetNamespacesResponse(
            namespaces=[await self.messages.of(view, version) for view in page],
            next_page_token=page_token(listing, page[-1].id.rpartition(".")[0]) if more else "",
        )

    async def _rules(self) -> ReplicaRules:
        known = regions_of(await self.endpoints.directory.cells())
        return ReplicaRules(known, self.replica_cooldown)


def _refuse_projects(request: CreateNamespaceRequest) -> None:
    unknown = UnknownFieldSet(request)
    if any(unknown[i].field_number == _PROJECT_ID_FIELD for i in range(len(unknown))):
        raise invalid_argument(
            "project_id: projects are not available yet: leave it empty for the default project"
        )
