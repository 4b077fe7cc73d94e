"""Projects and folders of the stand-in, over gRPC."""

from dataclasses import dataclass
from typing import Any

from google.cloud import resourcemanager_v3 as rm
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import json_format

from tests.clouds.gcp.api_errors import ApiError, denied
from tests.clouds.gcp.grpc_api import Handler
from tests.clouds.gcp.world import Operation, Project, World


@dataclass(frozen=True)
class ResourceManagerApi:
    world: World

    def handlers(self) -> dict[str, Handler]:
        return {
            "Projects.GetProject": self.get_project,
            "Projects.CreateProject": self.create_project,
            "Projects.DeleteProject": self.delete_project,
            "Projects.UndeleteProject": self.undelete_project,
            "Projects.GetIamPolicy": self.get_policy,
            "Projects.SetIamPolicy": self.set_policy,
            "Folders.GetFolder": self.get_folder,
            "Folders.TestIamPermissions": self.held_permissions,
            "Operations.GetOperation": self.get_operation,
        }

    def get_project(self, request: rm.GetProjectRequest, _: str) -> rm.Project:
        project_id = request.name.removeprefix("projects/")
        if project_id in self.world.appearing:
            self.world.appearing[project_id].look()
        return self._shown(self._find(request.name))

    def create_project(self, request: rm.CreateProjectRequest, _: str) -> operations_pb2.Operation:
        wanted = request.project
        self._permitted("resourcemanager.projects.create", wanted.parent)
        if wanted.parent != self.world.folder:
            raise denied("resourcemanager.projects.create", wanted.parent)
        if wanted.project_id in {*self.world.projects, *self.world.appearing}:
            raise ApiError("ALREADY_EXISTS", "Requested entity already exists")

        def finish() -> rm.Project:
            number = 100_000 + len(self.world.projects)
            project = Project(
                wanted.project_id, number, wanted.parent, wanted.display_name, dict(wanted.labels)
            )
            self.world.projects[project.id] = project
            del self.world.appearing[project.id]
            self.world.made.append(f"project {project.id}")
            return self._shown(project)

        operation = self.world.start(finish)
        self.world.appearing[wanted.project_id] = operation
        return _answer(operation)

    def delete_project(self, request: rm.DeleteProjectRequest, _: str) -> operations_pb2.Operation:
        project = self._find(request.name)
        if not project.is_active:
            raise ApiError("FAILED_PRECONDITION", "The project is not active.")
        return self._turned(project, is_active=False)

    def undelete_project(
        self, request: rm.UndeleteProjectRequest, _: str
    ) -> operations_pb2.Operation:
        project = self._find(request.name)
        if project.is_active:
            raise ApiError("FAILED_PRECONDITION", "The project is active.")
        return self._turned(project, is_active=True)

    def get_policy(self, request: iam_policy_pb2.GetIamPolicyRequest, _: str) -> policy_pb2.Policy:
        policy = self._find(request.resource).policy
        return _policy(policy.read(request.options.requested_policy_version))

    def set_policy(self, request: iam_policy_pb2.SetIamPolicyRequest, _: str) -> policy_pb2.Policy:
        project = self._find(request.resource)
        wanted = json_format.MessageToDict(request.policy)
        if "etag" in wanted:
            wanted["etag"] = request.policy.etag.decode()
        self.world.check_members(wanted)
        return _policy(project.policy.write(wanted))

    def get_folder(self, request: rm.GetFolderRequest, _: str) -> rm.Folder:
        if request.name != self.world.folder:
            raise denied("resourcemanager.folders.get", request.name)
        self._permitted("resourcemanager.folders.get", request.name)
        return rm.Folder(name=request.name, display_name="cells", state=rm.Folder.State.ACTIVE)

    def held_permissions(
        self, request: iam_policy_pb2.TestIamPermissionsRequest, _: str
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        held = [each for each in request.permissions if each not in self.world.withheld]
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    def get_operation(
        self, request: operations_pb2.GetOperationRequest, _: str
    ) -> operations_pb2.Operation:
        operation = self.world.operation(request.name)
        operation.look()
        return _answer(operation)

    def _turned(self, project: Project, *, is_active: bool) -> operations_pb2.Operation:
        def finish() -> rm.Project:
            return self._shown(project)

        # The state changes at once; the operation takes its time.
        project.is_active = is_active
        return _answer(self.world.start(finish))

    def _find(self, name: str) -> Project:
        for project in self.world.projects.values():
            if name in (project.name, f"projects/{project.id}"):
                return project
        raise denied("resourcemanager.projects.get", name)

    def _permitted(self, permission: str, resource: str) -> None:
        if permission in self.world.withheld:
            raise denied(permission, resource)

    def _shown(self, project: Project) -> rm.Project:
        states = rm.Project.State
        return rm.Project(
            name=project.name,
            project_id=project.id,
            display_name=project.display_name,
            parent=project.parent,
            labels=project.labels,
            state=states.ACTIVE if project.is_active else states.DELETE_REQUESTED,
        )


def _answer(operation: Operation) -> operations_pb2.Operation:
    answer = operations_pb2.Operation(name=operation.name, done=operation.is_done)
    if operation.error is not None:
        answer.error.CopyFrom(operation.error.grpc_status())
    elif operation.is_done:
        answer.response.Pack(rm.Project.pb(operation.answer))
    return answer


def _policy(policy: dict[str, Any]) -> policy_pb2.Policy:
    made = json_format.ParseDict(
        {k: v for k, v in policy.items() if k != "etag"}, policy_pb2.Policy()
    )
    made.etag = policy["etag"].encode()
    return made
