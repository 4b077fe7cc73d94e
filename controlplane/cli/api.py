"""The API as the commands call it: the Cloud Ops API over gRPC, the Fleet API over HTTP."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    CreateNamespaceResponse,
    DeleteNamespaceRequest,
    DeleteNamespaceResponse,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    GetNamespacesRequest,
    UpdateNamespaceRequest,
    UpdateNamespaceTagsRequest,
)
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.client import CloudOperationsClient
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from controlplane.api.fleet_types import NamespaceDetails
from controlplane.cli.connect_errors import innermost_cause
from controlplane.cli.connection import Connection, nothing_answers
from controlplane.cli.failures import (
    CommandFailed,
    NothingToChange,
    says_nothing_to_change,
)
from controlplane.cli.fleet_api import FleetApi, open_fleet_api

PAGE_SIZE = 1000


class NamespaceExists(CommandFailed):
    """There is a namespace of that name already."""


class ChangedMeanwhile(CommandFailed):
    """Somebody changed the namespace since it was read."""

    def __init__(self, message: str, now: Namespace) -> None:
        super().__init__(message)
        self.now = now


@dataclass(frozen=True)
class Api:
    """What the commands ask of the control plane. Refusals are raised as CommandFailed."""

    connection: Connection
    cloud: CloudOperationsClient
    fleet: FleetApi

    async def create_namespace(
        self, spec: NamespaceSpec, operation: str, tags: Mapping[str, str] | None = None
    ) -> CreateNamespaceResponse:
        """Ask for a namespace; asking again with the same operation id is answered alike."""
        request = CreateNamespaceRequest(spec=spec, async_operation_id=operation, tags=tags or {})
        try:
            with repeatable(operation):
                return await self.cloud.cloud_service.create_namespace(request, retry=True)
        except RPCError as error:
            if error.status is RPCStatusCode.ALREADY_EXISTS:
                raise NamespaceExists(error.message) from error
            raise

    async def update_namespace(
        self, namespace: Namespace, spec: NamespaceSpec, operation: str
    ) -> AsyncOperation:
        """Ask for `spec` in place of that of the namespace as it was read.

        Raise ChangedMeanwhile if it is not that any more.
        """
        request = UpdateNamespaceRequest(
            namespace=namespace.namespace,
            resource_version=namespace.resource_version,
            spec=spec,
            async_operation_id=operation,
        )
        try:
            with repeatable(operation):
                answer = await self.cloud.cloud_service.update_namespace(request, retry=True)
        except RPCError as error:
            if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
            now = await self.namespace(namespace.namespace)
            if now.resource_version == namespace.resource_version:
                raise
            raise ChangedMeanwhile(error.message, now) from error
        return answer.async_operation

    async def tag_namespace(
        self, namespace: str, upsert: Mapping[str, str], remove: Sequence[str], operation: str
    ) -> AsyncOperation:
        """Ask for these tags, and for others to go; tags that are not named stay."""
        request = UpdateNamespaceTagsRequest(
            namespace=namespace,
            tags_to_upsert=upsert,
            tags_to_remove=remove,
            async_operation_id=operation,
        )
        with repeatable(operation):
            answer = await self.cloud.cloud_service.update_namespace_tags(request, retry=True)
        return answer.async_operation

    async def delete_namespace(
        self, namespace: Namespace, operation: str
    ) -> DeleteNamespaceResponse:
        """Ask for the deletion of the namespace as it was read: not of one changed since."""
        request = DeleteNamespaceRequest(
            namespace=namespace.namespace,
            resource_version=namespace.resource_version,
            async_operation_id=operation,
        )
        with repeatable(operation):
            return await self.cloud.cloud_service.delete_namespace(request, retry=True)

    async def namespace(self, name: str) -> Namespace:
        """Return the namespace called `name`, its short name or its full id."""
        if "." in name:
            request = GetNamespaceRequest(namespace=name)
            return (await self.cloud.cloud_service.get_namespace(request, retry=True)).namespace
        found = await self.find_namespace(name)
        if found is None:
            raise CommandFailed(
                f"there is no namespace {name} in this account; `controlplane namespace list` "
                "shows those there are"
            )
        return found

    async def find_namespace(self, name: str) -> Namespace | None:
        """Return the namespace of this short name, if there is one."""
        request = GetNamespacesRequest(name=name)
        named = await self.cloud.cloud_service.get_namespaces(request, retry=True)
        return named.namespaces[0] if named.namespaces else None

    async def namespace_id(self, name: str) -> str:
        """Return the full id of the namespace called `name`."""
        return name if "." in name else (await self.namespace(name)).namespace

    async def details(self, name: str) -> NamespaceDetails:
        """Return what the Fleet API knows of the namespace called `name`."""
        return await self.fleet.namespace(await self.namespace_id(name))

    async def namespaces(self) -> list[Namespace]:
        """Return every namespace the key may see, by id."""
        found: list[Namespace] = []
        page_token = ""
        while True:
            request = GetNamespacesRequest(page_size=PAGE_SIZE, page_token=page_token)
            page = await self.cloud.cloud_service.get_namespaces(request, retry=True)
            found.extend(page.namespaces)
            page_token = page.next_page_token
            if not page_token:
                return found

    async def operation(self, operation: str) -> AsyncOperation:
        request = GetAsyncOperationRequest(async_operation_id=operation)
        response = await self.cloud.cloud_service.get_async_operation(request, retry=True)
        return response.async_operation


@asynccontextmanager
async def connect(connection: Connection) -> AsyncIterator[Api]:
    """Open the API; what goes wrong with it inside the block is raised as CommandFailed."""
    try:
        root = connection.ca_file.read_bytes() if connection.ca_file else None
    except OSError as error:
        raise CommandFailed(
            f"cannot read the CA file {connection.ca_file} (CONTROLPLANE_CA_FILE): {error.strerror}"
        ) from error
    try:
        cloud = await CloudOperationsClient.connect(
            target_host=connection.address,
            api_key=connection.api_key,
            tls=connection.tls and TLSConfig(server_root_ca_cert=root),
        )
    except RuntimeError as error:  # How this client reports that it could not connect.
        raise CommandFailed(_explain_silence(innermost_cause(error), connection)) from error
    async with open_fleet_api(connection) as fleet:
        try:
            yield Api(connection, cloud, fleet)
        except RPCError as error:
            raise CommandFailed(_explain(error, connection)) from error


@contextmanager
def repeatable(operation: str, *also: str) -> Iterator[None]:
    """Say how to repeat a request whose answer did not come, without doing it twice.

    `also` are options without which it would not be the same request. Raise NothingToChange where
    the API says that everything is so already.
    """
    try:
        yield
    except RPCError as error:
        if says_nothing_to_change(error.message):
            raise NothingToChange(error.message) from error
        if error.status not in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED):
            raise
        raise CommandFailed(
            f"whether the request was accepted is not known: {error.message}. "
            f"Repeat it with {' '.join(['--operation-id', operation, *also])}, and it is done once"
        ) from error


def _explain_silence(cause: str, connection: Connection) -> str:
    if "InvalidCertificate" in cause:
        return (
            f"{connection.address} shows a certificate that is not signed by "
            f"{connection.ca_file or 'a CA of this system'} ({cause}): set CONTROLPLANE_CA_FILE "
            "to the file of its CA"
        )
    return nothing_answers(f"{connection.address} ({cause})")


def _explain(error: RPCError, connection: Connection) -> str:
    match error.status:
        case RPCStatusCode.UNAVAILABLE:
            return f"the control plane at {connection.address} cannot do that now: {error.message}"
        case RPCStatusCode.UNAUTHENTICATED:
            return (
                f"{connection.address} does not accept this API key ({error.message}). "
                'A key of the embedded fleet comes with `eval "$(controlplane env)"`.'
            )
        case RPCStatusCode.PERMISSION_DENIED:
            return f"this API key may not do that: {error.message}"
        case _:
            return error.message
