"""What a Temporal server keeps of its shards, changed while it is stopped."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_QUEUE_STATES = 17  # Of temporal.server.api.persistence.v1.ShardInfo, from 1.30 to 1.32.
_REPLICATION = 3  # Of its queues.


def forget_how_far_peers_have_read(database: Path) -> None:
    """Lose what a server that keeps it once in five minutes has not kept yet, by default."""
    with closing(sqlite3.connect(database)) as connection, connection:
        shards = connection.execute("SELECT shard_id, data FROM shards").fetchall()
        for shard, data in shards:
            kept = b"".join(
                raw
                for number, raw, queue in _fields(data)
                if (number, queue) != (_QUEUE_STATES, _REPLICATION)
            )
            connection.execute("UPDATE shards SET data = ? WHERE shard_id = ?", (kept, shard))


def _fields(message: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield each field's number and bytes, and of an entry of a map with small keys its key."""
    position = 0
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        key = 0
        kind = tag & 7
        if kind == 0:
            _, position = _varint(message, position)
        elif kind == 2:
            length, position = _varint(message, position)
            key = message[position + 1] if length > 1 else 0
            position += length
        else:
            position += {1: 8, 5: 4}[kind]
        yield tag >> 3, message[start:position], key


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
