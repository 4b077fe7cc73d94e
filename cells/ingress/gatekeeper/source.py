"""The records, peers and API keys of the cell's database, followed as they change."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from time import monotonic
from typing import LiteralString, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from cells.ingress.gatekeeper.decoding import decode_key, decode_record, decode_signing_key
from cells.ingress.gatekeeper.key_table import AccountKeys, KeyTable
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.keys import SigningKeyRow
from cells.ingress.records import IngressRecord

FULL_RELOAD_SECONDS = 60.0
"""A safety net under the notifications."""
_FIRST_BACKOFF_SECONDS = 0.1
_LAST_BACKOFF_SECONDS = 5.0

_RECORDS: LiteralString = (
    "SELECT namespace, uid, server_name, admitted, client_ca, certificate_filters, api_keys,"
    " revoked_serials, requests_per_second, active_cell, forward_polls, certificate_chain,"
    " sealed_key FROM namespaces"
)
_PEERS: LiteralString = "SELECT cell, ingress FROM peers"
_SIGNING_KEYS: LiteralString = "SELECT kid, jwk FROM signing_keys"
# One statement sees one moment: the keys are those of the revision.
_KEYS: LiteralString = (
    "SELECT account_id, revision, key_id, expires_at, everywhere, namespaces"
    " FROM api_key_revisions LEFT JOIN api_keys USING (account_id)"
)
_BY_ACCOUNT: LiteralString = " ORDER BY account_id"

_log = logging.getLogger(__name__)

_Row = dict[str, object]
_Connection = psycopg.AsyncConnection[_Row]
_T = TypeVar("_T")


class DatabaseSource:
    """Keeps the tables like the database's; without the database leaves them as they are."""

    def __init__(
        self, records: RecordTable, keys: KeyTable, database_url: str, password_file: Path
    ) -> None:
        self._table = records
        self._keys = keys
        self._database_url = database_url
        self._password_file = password_file

    async def follow(self) -> None:
        """Follow the database for ever."""
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            started = monotonic()
            try:
                await self._follow_connection()
            except (psycopg.Error, OSError) as error:
                _log.error("database unavailable", extra={"fields": {"reason": str(error)}})
            if monotonic() - started > _LAST_BACKOFF_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LAST_BACKOFF_SECONDS)

    async def _follow_connection(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            _conninfo(self._database_url, self._password_file),
            autocommit=True,
            row_factory=dict_row,
        )
        async with connection:
            # Listen before loading: a change in between is then told, perhaps twice.
            await connection.execute("LISTEN namespaces")
            await connection.execute("LISTEN api_keys")
            await connection.execute("LISTEN peers")
            while True:
                await self._load(connection)
                await self._follow_notifications(connection)

    async def _load(self, connection: _Connection) -> None:
        # The keys first: a namespace that takes API keys is said to be enforced once they work.
        signing = _signing_keys(await _rows(connection, _SIGNING_KEYS))
        accounts = _accounts(await _rows(connection, _KEYS + _BY_ACCOUNT))
        self._keys.replace(signing, accounts.values())
        # And peers before what leads to them.
        self._table.replace_peers(await _peers(connection))
        records = _records(await _rows(connection, _RECORDS))
        self._table.replace(records.values())
        fields = {"namespaces": len(records), "accounts_with_keys": len(accounts)}
        _log.info("records loaded", extra={"fields": fields})

    async def _follow_notifications(self, connection: _Connection) -> None:
        """Load what is announced, until the next full reload is due."""
        reload_at = monotonic() + FULL_RELOAD_SECONDS
        while (left := reload_at - monotonic()) > 0:
            told = [each async for each in connection.notifies(timeout=left, stop_after=1)]
            namespaces = [each.payload for each in told if each.channel == "namespaces"]
            accounts = [each.payload for each in told if each.channel == "api_keys"]
            if any(each.channel == "peers" for each in told):
                self._table.replace_peers(await _peers(connection))
            if "*" in accounts:
                rows = await _rows(connection, _SIGNING_KEYS)
                self._keys.replace_signing(_signing_keys(rows))
            if accounts:
                query = _KEYS + " WHERE account_id = ANY(%s)" + _BY_ACCOUNT
                keys = _accounts(await _rows(connection, query, [accounts]))
                self._keys.update({name: keys.get(name) for name in accounts if name != "*"})
            if namespaces:
                query = _RECORDS + " WHERE namespace = ANY(%s)"
                records = _records(await _rows(connection, query, [namespaces]))
                self._table.update({name: records.get(name) for name in namespaces})


async def _peers(connection: _Connection) -> dict[str, str]:
    return {str(row["cell"]): str(row["ingress"]) for row in await _rows(connection, _PEERS)}


async def _rows(
    connection: _Connection, query: LiteralString, parameters: Sequence[object] = ()
) -> list[_Row]:
    return await (await connection.execute(query, parameters)).fetchall()


def _conninfo(database_url: str, password_file: Path) -> str:
    return make_conninfo(
        database_url,
        password=password_file.read_text().strip(),
        connect_timeout=5,
        # Notice a database that is gone without a word.
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        options="-c default_transaction_read_only=on",
        application_name="gatekeeper",
    )


def _records(rows: Iterable[_Row]) -> dict[str, IngressRecord]:
    """Return the records by namespace; one that cannot be understood admits nobody."""
    records = _readable("record", rows, "namespace", decode_record)
    return {record.namespace: record for record in records}


def _signing_keys(rows: Iterable[_Row]) -> list[SigningKeyRow]:
    return _readable("signing key", rows, "kid", decode_signing_key)


def _accounts(rows: Iterable[_Row]) -> dict[str, AccountKeys]:
    """Return the keys by account, of rows in the accounts' order."""
    accounts = {}
    for name, group in groupby(rows, itemgetter("account_id")):
        of_account = list(group)
        live = [row for row in of_account if row["key_id"] is not None]
        keys = _readable("API key", live, "key_id", decode_key)
        account, revision = str(name), int(str(of_account[0]["revision"]))
        accounts[account] = AccountKeys(account, revision, {key.key_id: key for key in keys})
    return accounts


def _readable(
    kind: str, rows: Iterable[_Row], name: str, decode: Callable[[Mapping[str, object]], _T]
) -> list[_T]:
    """Decode the rows, leaving out those that cannot be understood."""
    decoded = []
    for row in rows:
        try:
            decoded.append(decode(row))
        except (TypeError, ValueError) as error:
            fields = {name: str(row[name]), "reason": str(error)}
            _log.error(f"unreadable {kind}", extra={"fields": fields})
    return decoded
