"""Loopback ports that nothing else will take: chosen once, kept across restarts."""

import random
import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from controlplane.local.failures import FleetFailed

LOOPBACK = "127.0.0.1"

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_FROM = 32_768  # Linux's default; macOS and the BSDs begin higher.
_FIRST = 20_000
_FEWEST = 1_000  # Few enough to be of no use: whoever draws at the same moment draws the same.


_drawn: set[int] = set()
"""By this process: whoever was given one may not be listening yet."""


class NoFreePorts(FleetFailed):
    """The machine has no free ports left where we look for them."""


def assign_ports(
    names: Sequence[str], recorded: Mapping[str, int], held: Collection[str] = ()
) -> dict[str, int]:
    """Return a port for each name: the recorded one if it is free or `held` by us, else a new one.

    New ports lie below the ephemeral range, so that no outgoing connection and no server that
    asks for port 0 can take one while its process restarts.
    """
    ports = {
        name: recorded[name]
        for name in names
        if name in recorded and (name in held or is_free(recorded[name]))
    }
    missing = [name for name in names if name not in ports]
    used = {*ports.values(), *recorded.values()}
    for name, port in zip(missing, _free_ports(len(missing), used), strict=True):
        ports[name] = port
    return ports


def free_port() -> int:
    """Return one free port below the ephemeral range."""
    return _free_ports(1, set())[0]


def is_free(port: int) -> bool:
    """Tell whether a server can listen on the port now, for TCP and for UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As servers do: connections that linger after a restart do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


def _free_ports(count: int, used: set[int]) -> list[int]:
    """Return the next free ports from somewhere on.

    From anywhere, not from one of a few places: whoever draws is seen to listen only later, and two
    servers may both succeed in listening on one port (SO_REUSEPORT), each robbing the other.
    """
    end = _end_of_range()
    # Not from a seed: two processes with the same one would draw the same ports at the same time.
    somewhere = random.SystemRandom().randrange(_FIRST, end)
    found: list[int] = []
    for port in (*range(somewhere, end), *range(_FIRST, somewhere)):
        if len(found) == count:
            break
        if port not in used and port not in _drawn and is_free(port):
            found.append(port)
    if len(found) < count:
        _drawn.clear()  # Perhaps what was drawn long ago is free again.
        raise NoFreePorts(f"found {len(found)} of {count} free ports from {_FIRST} upwards")
    _drawn.update(found)
    return found


def _end_of_range() -> int:
    try:
        lowest_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest_ephemeral = _EPHEMERAL_FROM
    # A machine that hands out nearly every port leaves us no better place than the usual one.
    return lowest_ephemeral if lowest_ephemeral > _FIRST + _FEWEST else _EPHEMERAL_FROM
