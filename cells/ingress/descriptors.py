"""What the ingress knows of Temporal's API: which requests name a namespace, and where."""

from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from temporalio.api.workflowservice.v1 import service_pb2

SERVICE = "temporal.api.workflowservice.v1.WorkflowService"

OPEN_PATHS = (
    f"/{SERVICE}/GetSystemInfo",
    f"/{SERVICE}/GetClusterInfo",
    "/grpc.health.v1.Health/Check",
)
"""What any client of any namespace may call: it names no namespace and tells of none."""

POLL_PATHS = tuple(f"/{SERVICE}/Poll{kind}TaskQueue" for kind in ("Activity", "Nexus", "Workflow"))
"""How workers ask for tasks."""

# They change or create namespaces, which is the control plane's alone.
_MANAGEMENT = frozenset({"RegisterNamespace", "UpdateNamespace", "DeprecateNamespace"})


def namespaced_methods() -> tuple[str, ...]:
    """Return the full names of the methods a client may call on its own namespace, sorted.

    Everything else is denied, so a method newer than the installed SDK is denied as well.
    """
    service = service_pb2.DESCRIPTOR.services_by_name["WorkflowService"]
    return tuple(
        sorted(
            method.full_name
            for method in service.methods
            if method.name not in _MANAGEMENT
            and (field := method.input_type.fields_by_name.get("namespace")) is not None
            and field.type == FieldDescriptor.TYPE_STRING
        )
    )


def descriptor_set() -> bytes:
    """Return the serialized descriptors of WorkflowService and all it depends on."""
    files: dict[str, FileDescriptor] = {}
    _collect(service_pb2.DESCRIPTOR, files)
    descriptors = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(descriptors.file.add())
    return descriptors.SerializeToString(deterministic=True)


def _collect(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    """Add `file` after its dependencies: readers need them in that order."""
    if file.name in files:
        return
    for dependency in file.dependencies:
        _collect(dependency, files)
    files[file.name] = file
