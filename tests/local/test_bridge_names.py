"""Which names are translated in what servers say to each other."""

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.enums.v1 import ReplicationState
from temporalio.api.replication.v1 import (
    ClusterReplicationConfig,
    NamespaceReplicationConfig,
)

from controlplane.local.bridge.names import OWN_NAME, Names

NAMES = Names(cell="here", peer="there")
TO_THE_PEER = {OWN_NAME: "here", "there": OWN_NAME}
"""What the cell's server says, and what its peer has to read."""

_REPLICATION_CONFIG = 5


def field(number: int, content: bytes) -> bytes:
    """Return a message with one field, as it travels."""
    length, encoded = len(content), bytearray()
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *encoded, length]) + content


def fields(message: bytes) -> dict[int, bytes]:
    """Return what is in a message, by number of the field."""
    found = UnknownFieldSet(Empty.FromString(message))
    return {found[i].field_number: found[i].data for i in range(len(found))}


def replication(active: str, *replicas: str) -> NamespaceReplicationConfig:
    return NamespaceReplicationConfig(
        active_cluster_name=active,
        clusters=[ClusterReplicationConfig(cluster_name=name) for name in replicas],
        state=ReplicationState.REPLICATION_STATE_HANDOVER,
    )


names = st.sampled_from([OWN_NAME, "there", "elsewhere"])


@given(active=names, replicas=st.lists(names), other=st.binary())
def test_in_a_namespace_only_the_names_of_cells_change(
    active: str, replicas: list[str], other: bytes
) -> None:
    said = replication(active, *replicas).SerializeToString()
    told = fields(
        NAMES.response("GetNamespace", field(3, other) + field(_REPLICATION_CONFIG, said))
    )
    assert told.keys() == {3, _REPLICATION_CONFIG}
    assert told[3] == other
    active, *replicas = (TO_THE_PEER.get(name, name) for name in (active, *replicas))
    read = NamespaceReplicationConfig.FromString(told[_REPLICATION_CONFIG])
    assert read == replication(active, *replicas)


def test_names_are_found_in_each_namespace_that_is_replicated() -> None:
    said = replication(OWN_NAME, OWN_NAME, "there").SerializeToString()
    namespace = field(3, field(_REPLICATION_CONFIG, said))
    workflow = field(8, field(2, b"active"))
    messages = field(1, field(1, namespace) + field(1, workflow) + field(1, namespace))

    told = NAMES.response("GetNamespaceReplicationMessages", messages)

    expected = replication("here", "here", OWN_NAME).SerializeToString()
    changed = field(3, field(_REPLICATION_CONFIG, expected))
    assert told == field(1, field(1, changed) + field(1, workflow) + field(1, changed))


@pytest.mark.parametrize(
    ("method", "number"),
    [
        ("DescribeCluster", 1),
        ("GetNamespaceReplicationMessages", 3),
        ("GetReplicationMessages", 2),
    ],
)
def test_a_peer_asks_in_its_own_name_and_is_known_by_its_id(method: str, number: int) -> None:
    def asked(name: str) -> bytes:
        return NAMES.request(method, field(number, name.encode()))

    assert asked(OWN_NAME) == field(number, b"there")
    assert asked("here") == field(number, OWN_NAME.encode())
    assert asked("elsewhere") == field(number, b"elsewhere")


@given(message=st.binary())
def test_what_has_no_names_need_not_even_be_a_message(message: bytes) -> None:
    assert NAMES.request("SyncWorkflowState", message) == message
    assert NAMES.response("SyncWorkflowState", message) == message
