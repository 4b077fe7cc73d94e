"""Projects and folders, over gRPC."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.api_core.grpc_helpers_async import wrap_errors
from google.cloud.resourcemanager_v3 import (
    CreateProjectRequest,
    DeleteProjectRequest,
    Folder,
    FoldersAsyncClient,
    Project,
    ProjectsAsyncClient,
    UndeleteProjectRequest,
)
from google.cloud.resourcemanager_v3.services.folders.transports import (
    FoldersGrpcAsyncIOTransport,
)
from google.cloud.resourcemanager_v3.services.projects.transports import (
    ProjectsGrpcAsyncIOTransport,
    ProjectsTransport,
)
from google.iam.v1 import iam_policy_pb2, options_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import json_format

from cells.providers.gcp.policies import POLICY_VERSION, Policy
from controlplane.gcp.calls import TIMEOUT_SECONDS, Google
from controlplane.gcp.errors import Refused, Status
from controlplane.gcp.refusals import from_operation
from controlplane.gcp.waiting import until

OPERATION_PATIENCE = timedelta(minutes=10)
"""Projects are made in seconds, mostly."""

_GOOGLE = "cloudresourcemanager.googleapis.com:443"


class ResourceManager:
    """Google's Resource Manager, v3. What it does in its own time is waited for."""

    def __init__(self, google: Google, endpoint: str = "") -> None:
        self._google = google
        self._endpoint = endpoint
        self._clients: _Clients | None = None

    async def project(self, project_id: str) -> Project | None:
        """Return the project if it is there for us to see: Google does not say which it is not."""
        try:
            return await self._google.ask_grpc(
                "resourcemanager.projects.get",
                lambda metadata: self._projects.get_project(
                    name=f"projects/{project_id}", metadata=metadata
                ),
            )
        except Refused as refused:
            if refused.status in (Status.NOT_FOUND, Status.PERMISSION_DENIED):
                return None
            raise

    async def create_project(
        self, project_id: str, display_name: str, parent: str, labels: Mapping[str, str]
    ) -> None:
        """Make it; succeed if somebody already has, which may have been anybody."""
        project = Project(
            project_id=project_id, display_name=display_name, parent=parent, labels=labels
        )
        try:
            await self._carried_out(
                "resourcemanager.projects.create",
                self._transport.create_project,
                CreateProjectRequest(project=project),
            )
        except Refused as refused:
            if refused.status is not Status.ALREADY_EXISTS:
                raise

    async def undelete_project(self, name: str) -> None:
        await self._carried_out(
            "resourcemanager.projects.undelete",
            self._transport.undelete_project,
            UndeleteProjectRequest(name=name),
            routed_by=name,
        )

    async def delete_project(self, name: str) -> None:
        await self._carried_out(
            "resourcemanager.projects.delete",
            self._transport.delete_project,
            DeleteProjectRequest(name=name),
            routed_by=name,
        )

    async def policy(self, name: str) -> Policy:
        """Return who may do what in a project, conditions included."""
        request = iam_policy_pb2.GetIamPolicyRequest(
            resource=name,
            options=options_pb2.GetPolicyOptions(requested_policy_version=POLICY_VERSION),
        )
        policy = await self._google.ask_grpc(
            "resourcemanager.projects.getIamPolicy",
            lambda metadata: self._projects.get_iam_policy(request=request, metadata=metadata),
        )
        return json_format.MessageToDict(policy)

    async def set_policy(self, name: str, policy: Policy) -> None:
        request = iam_policy_pb2.SetIamPolicyRequest(
            resource=name, policy=json_format.ParseDict(policy, policy_pb2.Policy())
        )
        await self._google.ask_grpc(
            "resourcemanager.projects.setIamPolicy",
            lambda metadata: self._projects.set_iam_policy(request=request, metadata=metadata),
        )

    async def folder(self, name: str) -> Folder:
        return await self._google.ask_grpc(
            "resourcemanager.folders.get",
            lambda metadata: self._folders.get_folder(name=name, metadata=metadata),
        )

    async def folder_permissions(self, name: str, wanted: Sequence[str]) -> Sequence[str]:
        """Return which of the permissions we have there."""
        request = iam_policy_pb2.TestIamPermissionsRequest(resource=name, permissions=wanted)
        answer = await self._google.ask_grpc(
            "resourcemanager.folders.testIamPermissions",
            lambda metadata: self._folders.test_iam_permissions(request=request, metadata=metadata),
        )
        return list(answer.permissions)

    async def close(self) -> None:
        if self._clients is not None:
            await self._clients.channel.close()
            self._clients = None

    @property
    def _projects(self) -> ProjectsAsyncClient:
        return self._opened().projects

    @property
    def _transport(self) -> ProjectsTransport:
        return self._projects.transport

    @property
    def _folders(self) -> FoldersAsyncClient:
        return self._opened().folders

    def _opened(self) -> "_Clients":
        # A channel belongs to the loop in which it is opened.
        if self._clients is None:
            self._clients = _Clients.of(_channel(self._endpoint))
        return self._clients

    async def _carried_out(
        self,
        call: str,
        method: Callable[..., Awaitable[operations_pb2.Operation]],
        request: object,
        routed_by: str = "",
    ) -> None:
        """Return when the operation that the call starts has come to its end; raise why it failed.

        The transport is called, not the client, whose own way of waiting needs a module that other
        packages of Google's messages replace (google.longrunning.operations_pb2).
        """
        routing = (("x-goog-request-params", f"name={routed_by}"),) if routed_by else ()
        checked = wrap_errors(method)  # type: ignore[no-untyped-call]  # Has no types.
        started = await self._google.ask_grpc(
            call,
            lambda metadata: checked(
                request, timeout=TIMEOUT_SECONDS, metadata=(*metadata, *routing)
            ),
        )

        async def look() -> operations_pb2.Operation | None:
            if started.done:
                return started
            wanted = operations_pb2.GetOperationRequest(name=started.name)
            operation = await self._google.ask_grpc(
                "resourcemanager.operations.get",
                lambda metadata: self._projects.get_operation(wanted, metadata=metadata),
            )
            return operation if operation.done else None

        ended = await until(look, f"{call} ({started.name})", OPERATION_PATIENCE)
        if ended.HasField("error"):
            raise Refused(from_operation(call, ended.error), self._google.identity.name)


@dataclass(frozen=True)
class _Clients:
    channel: grpc.aio.Channel
    projects: ProjectsAsyncClient
    folders: FoldersAsyncClient

    @classmethod
    def of(cls, channel: grpc.aio.Channel) -> "_Clients":
        return cls(
            channel,
            ProjectsAsyncClient(transport=ProjectsGrpcAsyncIOTransport(channel=channel)),
            FoldersAsyncClient(transport=FoldersGrpcAsyncIOTransport(channel=channel)),
        )


def _channel(endpoint: str) -> grpc.aio.Channel:
    """Tokens travel as metadata of each call: of the transport, only the server is checked."""
    scheme, _, address = endpoint.rpartition("://")
    if scheme == "http":
        return grpc.aio.insecure_channel(address)
    return grpc.aio.secure_channel(address or _GOOGLE, grpc.ssl_channel_credentials())
