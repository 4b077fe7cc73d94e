"""The names of clusters in what servers say to each other, found and translated. Pure.

Of each message only the way to its names is declared here: whatever protobuf does not know of a
message it keeps. So every declared string is a name, and nothing else is looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

OWN_NAME = "active"
"""What the server of every cell calls itself."""

_PACKAGE = "controlplane.local.bridge"
_NAME = ""

# By message, its fields: number and type, `_NAME` for a name. As in temporal.server.api and
# temporal.api from server 1.30 to 1.32.
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "DescribeClusterRequest": {"cluster_name": (1, _NAME)},
    "DescribeClusterResponse": {"cluster_name": (5, _NAME)},
    "GetNamespaceResponse": {"replication_config": (5, "NamespaceReplicationConfig")},
    "GetNamespaceReplicationMessagesRequest": {"cluster_name": (3, _NAME)},
    "GetNamespaceReplicationMessagesResponse": {"messages": (1, "ReplicationMessages")},
    "GetReplicationMessagesRequest": {"cluster_name": (2, _NAME)},
    "ReplicationMessages": {"replication_tasks": (1, "ReplicationTask")},
    "ReplicationTask": {"namespace_task_attributes": (3, "NamespaceTaskAttributes")},
    "NamespaceTaskAttributes": {"replication_config": (5, "NamespaceReplicationConfig")},
    "NamespaceReplicationConfig": {
        "active_cluster_name": (1, _NAME),
        "clusters": (2, "ClusterReplicationConfig"),
    },
    "ClusterReplicationConfig": {"cluster_name": (1, _NAME)},
}
_REPEATED = {"replication_tasks", "clusters"}


@dataclass(frozen=True)
class Names:
    """What a cell and one peer of it call each other's servers."""

    cell: str
    peer: str

    def request(self, method: str, message: bytes) -> bytes:
        """Return what the peer asks as the cell's server understands it."""
        return _translated(f"{method}Request", message, {OWN_NAME: self.peer, self.cell: OWN_NAME})

    def response(self, method: str, message: bytes) -> bytes:
        """Return what the cell's server answers as the peer understands it."""
        return _translated(f"{method}Response", message, {OWN_NAME: self.cell, self.peer: OWN_NAME})


def _translated(kind: str, message: bytes, names: Mapping[str, str]) -> bytes:
    known = _CLASSES.get(kind)
    if known is None:
        return message
    translated = known.FromString(message)
    _translate(translated, names)
    return translated.SerializeToString()


def _translate(message: Message, names: Mapping[str, str]) -> None:
    for field, value in message.ListFields():
        if isinstance(value, str):
            setattr(message, field.name, names.get(value, value))
        elif isinstance(value, Message):
            _translate(value, names)
        else:
            for element in value:
                _translate(element, names)


def _classes() -> dict[str, type[Message]]:
    file = FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    file.message_type.extend(_declared(name, fields) for name, fields in _MESSAGES.items())
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _declared(name: str, fields: Mapping[str, tuple[int, str]]) -> DescriptorProto:
    field = FieldDescriptorProto
    return DescriptorProto(
        name=name,
        field=[
            field(
                name=field_name,
                number=number,
                label=field.LABEL_REPEATED if field_name in _REPEATED else field.LABEL_OPTIONAL,
                type=field.TYPE_MESSAGE if kind else field.TYPE_STRING,
                type_name=f".{_PACKAGE}.{kind}" if kind else None,
            )
            for field_name, (number, kind) in fields.items()
        ],
    )


_CLASSES = _classes()
