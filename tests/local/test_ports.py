import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane.local.ports import LOOPBACK, assign_ports, free_port, is_free


@contextmanager
def taken(port: int, kind: socket.SocketKind) -> Iterator[None]:
    with socket.socket(socket.AF_INET, kind) as stranger:
        stranger.bind((LOOPBACK, port))
        if kind == socket.SOCK_STREAM:
            stranger.listen()
        yield


def test_a_recorded_port_is_kept_and_missing_ones_are_added() -> None:
    first = assign_ports(["api", "dns"], {})
    second = assign_ports(["api", "dns", "engine"], first)
    assert {name: second[name] for name in first} == first
    assert len(set(second.values())) == 3


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_a_stranger_has_taken_is_replaced(kind: socket.SocketKind) -> None:
    recorded = assign_ports(["api", "dns"], {})
    with taken(recorded["dns"], kind):
        again = assign_ports(["api", "dns"], recorded)
    assert again["api"] == recorded["api"]
    assert again["dns"] not in recorded.values()


def test_a_port_that_our_own_program_listens_on_is_kept() -> None:
    recorded = assign_ports(["api"], {})
    with taken(recorded["api"], socket.SOCK_STREAM):
        assert assign_ports(["api"], recorded, held={"api"}) == recorded


def test_a_port_is_free_again_right_after_its_connections_were_closed() -> None:
    port = free_port()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((LOOPBACK, port))
        server.listen()
        client = socket.create_connection((LOOPBACK, port))
        accepted, _ = server.accept()
        accepted.close()  # The server closes first: its side lingers in TIME_WAIT.
        client.close()
    assert is_free(port)


def test_ports_lie_below_those_that_outgoing_connections_use() -> None:
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(ephemeral.read_text().split()[0]) if ephemeral.exists() else 49_152
    assert all(p < lowest for p in assign_ports([str(n) for n in range(40)], {}).values())


def test_those_who_draw_a_port_before_the_others_listen_never_draw_the_same() -> None:
    drawn = [free_port() for _ in range(1000)]
    assert len(set(drawn)) == 1000
