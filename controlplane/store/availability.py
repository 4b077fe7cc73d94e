"""What was last decided about failovers that nobody asked for: one row."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from controlplane.store.audit import append_within
from controlplane.store.audit_entries import Actor, AuditEntry
from controlplane.store.pool import Pool
from provisioning.automatic.types import AVAILABILITY_ID, AvailabilityEvent, AvailabilityView

_VIEW = TypeAdapter(AvailabilityView)
_EVENT = TypeAdapter(AvailabilityEvent)

_PUBLISH = """
INSERT INTO availability (revision, view) VALUES (%(revision)s, %(view)s)
ON CONFLICT (only_row) DO UPDATE SET revision = excluded.revision, view = excluded.view
WHERE availability.revision < excluded.revision
"""
_READ = "SELECT view::text FROM availability"
_OPERATORS = "SELECT id FROM accounts WHERE operator ORDER BY created_at, id LIMIT 1"


@dataclass(frozen=True)
class AvailabilityProjections:
    """Implements `provisioning.automatic.ports.AvailabilityProjection`, and reads what it holds."""

    pool: Pool

    async def publish_availability(self, view: AvailabilityView) -> None:
        """Publish the view; its events are in the operators' audit log once, or neither is there.

        That goes for views that came late as well: a newer one may hold the event no more.
        """
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(
                _PUBLISH, {"revision": view.revision, "view": _VIEW.dump_json(view).decode()}
            )
            row = await (await connection.execute(_OPERATORS)).fetchone()
            if row is None:
                raise LookupError(
                    "what is decided about failovers cannot be recorded: no account is the "
                    "operators'"
                )
            account = str(row[0])
            await append_within(
                connection,
                account,
                AVAILABILITY_ID,
                [_entry(account, each) for each in view.events],
            )

    async def read(self) -> AvailabilityView | None:
        """Return the newest view; None when nothing was ever decided."""
        async with self.pool.connection() as connection:
            row = await (await connection.execute(_READ)).fetchone()
        return None if row is None else _VIEW.validate_json(row[0])


def _entry(account: str, event: AvailabilityEvent) -> AuditEntry:
    return AuditEntry(
        account=account,
        source=AVAILABILITY_ID,
        number=event.number,
        what=f"availability {event.what}",
        status="OK",
        actor=Actor("system", AVAILABILITY_ID, "availability"),
        details=_EVENT.dump_python(event, mode="json"),
    )
