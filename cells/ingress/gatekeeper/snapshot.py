"""The gatekeeper's own copy of the records, for a start without the database."""

import asyncio
import json
import logging
from base64 import b64decode, b64encode
from dataclasses import asdict
from pathlib import Path

from cells.ingress.durable_file import replace_file
from cells.ingress.gatekeeper.decoding import decode_record
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.records import IngressRecord

_LEAST_SECONDS_BETWEEN = 1.0

_log = logging.getLogger(__name__)


def read_snapshot(path: Path, cell: str) -> list[IngressRecord] | None:
    """Return the records last kept for this cell, or None when there is no such copy."""
    try:
        content = json.loads(path.read_bytes())
        if content["cell"] != cell:
            raise ValueError(f"it is of cell {content['cell']}")
        return [_decode(record) for record in content["records"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.error(
            "snapshot unusable", extra={"fields": {"path": str(path), "reason": repr(error)}}
        )
        return None


def write_snapshot(path: Path, cell: str, records: list[IngressRecord]) -> None:
    """Keep the records; their private keys stay sealed."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {"cell": cell, "records": [_encode(record) for record in records]}
    replace_file(path, json.dumps(content).encode())


async def keep_snapshot(table: RecordTable, path: Path, cell: str) -> None:
    """Write a copy at once after a change, at most one a second, for ever."""
    with table.following() as changes:
        while True:
            await changes.take()
            try:
                await asyncio.to_thread(write_snapshot, path, cell, table.records())
            except OSError as error:
                _log.error("snapshot not written", extra={"fields": {"reason": str(error)}})
                changes.add(())
            await asyncio.sleep(_LEAST_SECONDS_BETWEEN)


def _encode(record: IngressRecord) -> dict[str, object]:
    return {**asdict(record), "sealed_key": b64encode(record.sealed_key).decode()}


def _decode(content: dict[str, object]) -> IngressRecord:
    return decode_record({**content, "sealed_key": b64decode(str(content["sealed_key"]))})
