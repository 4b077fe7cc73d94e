"""The audit log: who asked for what, and what entities decided, account by account, for good.

Each record holds the hash of the one before it. The table takes new rows only, and rewriting it
past that shows in `verify`; so does cutting off its end to whoever kept the last hash.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow

from controlplane.store.audit_entries import (
    FIRST_PREVIOUS,
    AuditEntry,
    AuditRecord,
    exported,
    hash_of,
    read_record,
)
from controlplane.store.pool import Pool

_BATCH = 500
_LOCK = 0x61756474  # With an account's hash: taken while its chain grows. "audt" in ASCII.
_KNOWN = """
SELECT number FROM audit_log
WHERE account_id = %(account)s AND source = %(source)s AND number = ANY(%(numbers)s)
"""
_LAST = """
SELECT clock_timestamp(), last.sequence, last.emitted_at, last.hash
FROM (VALUES (1)) AS always
LEFT JOIN LATERAL (
    SELECT sequence, emitted_at, hash FROM audit_log WHERE account_id = %s
    ORDER BY sequence DESC LIMIT 1
) AS last ON true
"""
_APPEND = """
INSERT INTO audit_log (account_id, sequence, emitted_at, source, number, entry, hash)
VALUES (%(account)s, %(sequence)s, %(emitted_at)s, %(source)s, %(number)s, %(entry)s, %(hash)s)
"""
# Only one whose call had an effect: a claim that nothing came of is no change.
_OPERATION_RECORDED = """
UPDATE operations SET recorded = true
WHERE account_id = %(account)s AND id = %(operation)s AND view IS NOT NULL AND NOT recorded
"""
_OPERATIONS_NOT_RECORDED = """
SELECT o.account_id, o.id, o.kind, coalesce(o.namespace, ''), o.request, o.claimed_at,
       coalesce(o.actor, ''), coalesce(u.email, s.name, ''), s.id IS NOT NULL
FROM operations o
LEFT JOIN users u ON u.id = o.actor
LEFT JOIN service_accounts s ON s.id = o.actor
WHERE NOT o.recorded AND o.request IS NOT NULL AND o.view IS NOT NULL
  AND o.claimed_at < now() - %(older_than)s
ORDER BY o.claimed_at LIMIT %(limit)s
"""
_READ = """
SELECT sequence, emitted_at, source, number, entry, hash FROM audit_log
WHERE account_id = %(account)s AND sequence > %(after)s
  AND (%(since)s::timestamptz IS NULL OR emitted_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR emitted_at < %(until)s)
ORDER BY sequence LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Verification:
    """What became of walking an account's chain."""

    records: int
    """As many are as they were written, one after another from the first."""
    last_hash: str
    """The hash of the last of them, hexadecimal: keep it to see later that none was cut off."""
    broken_at: int | None = None
    """The sequence of the first record that is not."""
    reason: str = ""


@dataclass(frozen=True)
class UnrecordedOperation:
    """What is known of a call whose process died before it recorded it."""

    account: str
    id: str
    kind: str
    """The RPC's name."""
    namespace: str
    request: bytes
    """A serialised `google.protobuf.Any`."""
    claimed_at: datetime
    actor: str
    actor_name: str
    by_service_account: bool


@dataclass(frozen=True)
class AuditLog:
    pool: Pool

    async def append(self, entry: AuditEntry) -> None:
        """Record the entry at the end of its account's chain, unless it is there already.

        The operation that it names, if it was begun, counts as recorded from then on.
        """
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(
                _OPERATION_RECORDED, {"account": entry.account, "operation": entry.operation}
            )
            await append_within(connection, entry.account, entry.source, [entry])

    async def operations_not_recorded(
        self, older_than: timedelta, limit: int
    ) -> list[UnrecordedOperation]:
        """Return operations that were begun and whose calls are not in the log, oldest first."""
        async with self.pool.connection() as connection:
            rows = await connection.execute(
                _OPERATIONS_NOT_RECORDED, {"older_than": older_than, "limit": limit}
            )
            return [UnrecordedOperation(*row) for row in await rows.fetchall()]

    async def read(
        self,
        account: str,
        *,
        after: int = 0,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int,
    ) -> list[AuditRecord]:
        """Return up to `limit` records in order, from the one after sequence `after` on."""
        asked = _Range(account, after, since, until, limit)
        return [read_record(row.text) for row in await self._rows(asked)]

    async def export(
        self, account: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[str, None]:
        """Yield a line of NDJSON per record, with its hash (`audit_entries.exported`)."""
        asked = _Range(account, 0, since, until, _BATCH)
        while rows := await self._rows(asked):
            for row in rows:
                yield exported(row.text, row.digest) + "\n"
            asked = _Range(account, rows[-1].sequence, since, until, _BATCH)

    async def verify(self, account: str) -> Verification:
        """Walk the account's chain from its beginning, and name the first record that is wrong."""
        seen, previous = 0, FIRST_PREVIOUS
        while rows := await self._rows(_Range(account, seen, None, None, _BATCH)):
            for row in rows:
                wrong = _what_is_wrong(account, row, seen + 1, previous)
                if wrong:
                    return Verification(seen, previous, seen + 1, wrong)
                seen, previous = row.sequence, row.digest.hex()
        return Verification(seen, previous)

    async def _rows(self, asked: "_Range") -> "list[_Row]":
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(_READ, vars(asked))).fetchall()
        return [_Row(*row) for row in rows]


async def append_within(
    connection: AsyncConnection[TupleRow],
    account: str,
    source: str,
    entries: Sequence[AuditEntry],
) -> None:
    """Record entries of one source within the caller's transaction, those not there already.

    With something new, the account's chain is locked until the transaction ends.
    """
    asked = {
        "account": account,
        "source": source,
        "numbers": [entry.number for entry in entries],
    }
    if not entries or not await _new(entries, await connection.execute(_KNOWN, asked)):
        return
    # One round trip, but three statements: the latter two see what the lock had us wait for.
    async with connection.pipeline():
        await connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, account))
        known = await connection.execute(_KNOWN, asked)
        last = await connection.execute(_LAST, (account,))
    new = await _new(entries, known)
    row = await last.fetchone()
    assert row is not None
    async with connection.cursor() as cursor:
        await cursor.executemany(_APPEND, [vars(link) for link in _links(new, *row)])


async def _new(entries: Sequence[AuditEntry], known: AsyncCursor[TupleRow]) -> list[AuditEntry]:
    """Return the entries whose numbers are not among those known."""
    numbers = {row[0] for row in await known.fetchall()}
    return [entry for entry in entries if entry.number not in numbers]


@dataclass(frozen=True)
class _Link:
    """A row of the table."""

    account: str
    sequence: int
    emitted_at: datetime
    source: str
    number: int
    entry: str
    hash: bytes


def _links(
    entries: Sequence[AuditEntry],
    now: datetime,
    sequence: int | None,
    emitted_at: datetime | None,
    digest: bytes | None,
) -> Iterator[_Link]:
    """Yield the rows that follow the last one, of which the latter three are told, if any."""
    sequence = sequence or 0
    previous = FIRST_PREVIOUS if digest is None else digest.hex()
    for entry in entries:
        # Clocks may be set back; the order of the log is that of its times.
        if emitted_at is not None:
            now = max(now, emitted_at + timedelta(microseconds=1))
        emitted_at, sequence = now, sequence + 1
        text = AuditRecord(sequence, now, previous, entry).text
        link = _Link(entry.account, sequence, now, entry.source, entry.number, text, hash_of(text))
        previous = link.hash.hex()
        yield link


@dataclass(frozen=True)
class _Range:
    account: str
    after: int
    since: datetime | None
    until: datetime | None
    limit: int


@dataclass(frozen=True)
class _Row:
    sequence: int
    emitted_at: datetime
    source: str
    number: int
    text: str
    digest: bytes


def _what_is_wrong(account: str, row: _Row, sequence: int, previous: str) -> str:
    """Return why a row cannot be the record that follows `previous`; "" if it can."""
    if row.sequence != sequence:
        return f"record {sequence} is missing"
    if hash_of(row.text) != row.digest:
        return "its hash is not that of its text"
    record = read_record(row.text)
    if record.previous != previous:
        return "it does not follow the record before it"
    entry = record.entry
    columns = (account, row.sequence, row.emitted_at, row.source, row.number)
    if columns != (
        entry.account,
        record.sequence,
        record.emitted_at,
        entry.source,
        entry.number,
    ):
        return "what it is searched by is not what it says"
    return ""
