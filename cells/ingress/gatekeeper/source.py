"""The records of the cell's database, followed as they change."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import LiteralString

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from cells.ingress.gatekeeper.decoding import decode_record
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.records import IngressRecord

FULL_RELOAD_SECONDS = 60.0
"""A safety net under the notifications."""
_FIRST_BACKOFF_SECONDS = 0.1
_LAST_BACKOFF_SECONDS = 5.0

_SELECT: LiteralString = (
    "SELECT namespace, uid, server_name, admitted, client_ca, certificate_filters,"
    " certificate_chain, sealed_key FROM namespaces"
)

_log = logging.getLogger(__name__)


async def follow_database(table: RecordTable, database_url: str, password_file: Path) -> None:
    """Keep the table like the database's, for ever; without the database leave it as it is."""
    backoff = _FIRST_BACKOFF_SECONDS
    while True:
        started = monotonic()
        try:
            await _follow_connection(table, _conninfo(database_url, password_file))
        except (psycopg.Error, OSError) as error:
            _log.error("database unavailable", extra={"fields": {"reason": str(error)}})
        if monotonic() - started > _LAST_BACKOFF_SECONDS:
            backoff = _FIRST_BACKOFF_SECONDS
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, _LAST_BACKOFF_SECONDS)


async def _follow_connection(table: RecordTable, conninfo: str) -> None:
    connection = await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, row_factory=dict_row
    )
    async with connection:
        # Listen before loading: a change in between is then told, perhaps twice.
        await connection.execute("LISTEN namespaces")
        while True:
            rows = await (await connection.execute(_SELECT)).fetchall()
            table.replace(_records(rows).values())
            _log.info("records loaded", extra={"fields": {"namespaces": len(rows)}})
            await _follow_notifications(table, connection)


async def _follow_notifications(
    table: RecordTable, connection: psycopg.AsyncConnection[dict[str, object]]
) -> None:
    """Load what is announced, until the next full reload is due."""
    reload_at = monotonic() + FULL_RELOAD_SECONDS
    while (left := reload_at - monotonic()) > 0:
        namespaces = [
            notification.payload
            async for notification in connection.notifies(timeout=left, stop_after=1)
        ]
        if namespaces:
            cursor = await connection.execute(_SELECT + " WHERE namespace = ANY(%s)", [namespaces])
            records = _records(await cursor.fetchall())
            table.update({namespace: records.get(namespace) for namespace in namespaces})


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


def _records(rows: Sequence[dict[str, object]]) -> dict[str, IngressRecord]:
    """Return the records by namespace; one that cannot be understood admits nobody."""
    records = {}
    for row in rows:
        try:
            record = decode_record(row)
        except (TypeError, ValueError) as error:
            _log.error(
                "unreadable record",
                extra={"fields": {"namespace": str(row["namespace"]), "reason": str(error)}},
            )
        else:
            records[record.namespace] = record
    return records
