"""The calendar and everything that it ever said: a row for each revision."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from controlplane.errors import failed_precondition
from controlplane.store.pool import Pool
from rollout.calendar import Calendar

_CALENDAR = TypeAdapter(Calendar)

_LOCK = 0x63616C656E646172  # Taken while the calendar changes: "calendar" in ASCII.
_READ = """
SELECT revision, calendar::text, changed_at, changed_by, reason FROM calendars
ORDER BY revision DESC LIMIT 1
"""
_CHANGE = """
INSERT INTO calendars (revision, calendar, changed_by, reason)
VALUES (%(revision)s, %(calendar)s, %(by)s, %(reason)s)
"""


@dataclass(frozen=True)
class KeptCalendar:
    revision: int
    """Rises with every change; 0 before the first."""
    calendar: Calendar
    changed_at: datetime | None
    changed_by: str
    reason: str


@dataclass(frozen=True)
class Calendars:
    pool: Pool

    async def read(self) -> KeptCalendar:
        async with self.pool.connection() as connection:
            return await _present(connection)

    async def change(
        self,
        change: Callable[[Calendar], Calendar],
        *,
        by: str,
        reason: str,
        expected: int | None = None,
    ) -> tuple[KeptCalendar, KeptCalendar]:
        """Change the calendar, and return what it was and what it is.

        A change that leaves everything as it is makes no revision. Raise `failed_precondition`
        when the present revision is not the one expected; None expects any.
        """
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            before = await _present(connection)
            if expected is not None and expected != before.revision:
                raise failed_precondition(
                    f"the calendar is at revision {before.revision}, not at {expected}: read it "
                    "again, and change that"
                )
            wanted = change(before.calendar)
            if wanted == before.calendar:
                return before, before
            await connection.execute(
                _CHANGE,
                {
                    "revision": before.revision + 1,
                    "calendar": _CALENDAR.dump_json(wanted).decode(),
                    "by": by,
                    "reason": reason,
                },
            )
            return before, await _present(connection)


async def _present(connection: AsyncConnection[TupleRow]) -> KeptCalendar:
    row = await (await connection.execute(_READ)).fetchone()
    if row is None:
        return KeptCalendar(0, Calendar(), None, "", "")
    revision, calendar, *changed = row
    return KeptCalendar(revision, _CALENDAR.validate_json(calendar), *changed)
