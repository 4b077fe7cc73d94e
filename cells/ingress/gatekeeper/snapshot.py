"""The gatekeeper's own copy of all it enforces, for a start without the database."""

import asyncio
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from cells.ingress.durable_file import replace_file
from cells.ingress.gatekeeper.changes import Changes
from cells.ingress.gatekeeper.decoding import (
    decode_key,
    decode_peers,
    decode_record,
    decode_signing_key,
)
from cells.ingress.gatekeeper.key_table import AccountKeys, KeyTable
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.keys import KeyRow
from cells.ingress.records import IngressRecord

_LEAST_SECONDS_BETWEEN = 1.0

_log = logging.getLogger(__name__)


class Snapshot:
    """The copy in one file, of one cell. Private keys stay sealed in it."""

    def __init__(self, path: Path, cell: str, table: RecordTable, keys: KeyTable) -> None:
        self._path = path
        self._cell = cell
        self._table = table
        self._keys = keys

    def load(self) -> bool:
        """Fill the tables with what was last kept for this cell; tell whether there was a copy."""
        try:
            content = json.loads(self._path.read_bytes())
            if content["cell"] != self._cell:
                raise ValueError(f"it is of cell {content['cell']}")
            records = [_decode_record(record) for record in content["records"]]
            # Copies of earlier releases have records alone.
            signing = [decode_signing_key(key) for key in content.get("signing_keys", [])]
            accounts = [_decode_account(account) for account in content.get("accounts", [])]
            peers = decode_peers(content.get("peers", {}))
            withdrawals = {
                namespace: {name: datetime.fromisoformat(at) for name, at in since.items()}
                for namespace, since in content.get("withdrawals", {}).items()
            }
        except FileNotFoundError:
            return False
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            fields = {"path": str(self._path), "reason": repr(error)}
            _log.error("snapshot unusable", extra={"fields": fields})
            return False
        self._keys.replace(signing, accounts)
        self._table.withdrawals.load(withdrawals)
        self._table.replace_peers(peers)
        self._table.replace(records)
        return True

    def write(self) -> None:
        """Keep what the tables have now, if they ever had anything."""
        if self._table.loaded:
            self._write(self._content())

    async def keep(self) -> None:
        """Write a copy at once after a change, at most one a second, for ever."""
        with self._table.followers.following() as changes, self._keys.followers.into(changes):
            while True:
                await changes.take()
                await self._write_apart(changes)
                await asyncio.sleep(_LEAST_SECONDS_BETWEEN)

    async def _write_apart(self, changes: Changes) -> None:
        if not self._table.loaded:
            return
        content = self._content()
        try:
            await asyncio.to_thread(self._write, content)
        except OSError as error:
            _log.error("snapshot not written", extra={"fields": {"reason": str(error)}})
            changes.add(())

    def _write(self, content: Mapping[str, object]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._path, json.dumps(content, default=_encode).encode())

    def _content(self) -> dict[str, object]:
        return {
            "cell": self._cell,
            "records": self._table.records(),
            "peers": dict(self._table.peers),
            "withdrawals": self._table.withdrawals.kept(),
            "signing_keys": [asdict(key) for key in self._keys.signing_keys()],
            "accounts": self._keys.accounts(),
        }


def _encode(value: object) -> object:
    match value:
        case IngressRecord(rules=rules, sealed_key=sealed_key):
            # Flat, as in the database.
            fields = {**vars(value), **asdict(rules), "sealed_key": b64encode(sealed_key).decode()}
            return {name: each for name, each in fields.items() if name != "rules"}
        case AccountKeys(account, revision, keys):
            return {"account": account, "revision": revision, "keys": list(keys.values())}
        case KeyRow():
            return {**vars(value), "namespaces": dict(value.namespaces)}
        case datetime():
            return value.isoformat()
        case _:
            raise TypeError(f"{type(value)} is not kept")


def _decode_record(content: dict[str, object]) -> IngressRecord:
    return decode_record({**content, "sealed_key": b64decode(str(content["sealed_key"]))})


def _decode_account(content: dict[str, object]) -> AccountKeys:
    match content:
        case {"account": str(account), "revision": int(revision), "keys": list(keys)}:
            decoded = [
                decode_key({**key, "expires_at": datetime.fromisoformat(key["expires_at"])})
                for key in keys
            ]
            return AccountKeys(account, revision, {key.key_id: key for key in decoded})
        case _:
            raise ValueError("a value is missing or has an unexpected type")
