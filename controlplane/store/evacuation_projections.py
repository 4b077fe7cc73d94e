"""Where evacuations of cells publish what others may read of them."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from controlplane.ids import evacuation_workflow_id
from controlplane.store.audit import append_within
from controlplane.store.audit_entries import Actor, AuditEntry
from controlplane.store.pool import Pool
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import EvacuationView, Event, Outcome, Phase, Status


@dataclass(frozen=True)
class EvacuationSummary:
    """An evacuation as lists show it, without its namespaces one by one."""

    id: str
    cell: str
    kind: EvacuationKind
    phase: Phase
    outcome: Outcome | None
    message: str
    paused_by: str
    actor: str
    reason: str
    started_at: datetime | None
    ended_at: datetime | None
    counts: dict[Status, int]
    waits_for: str
    eta_p50: datetime | None
    eta_p90: datetime | None


EVACUATION_VIEW = TypeAdapter(EvacuationView)
EVACUATION_SUMMARY = TypeAdapter(EvacuationSummary)
_EVENT = TypeAdapter(Event)

# Without a claim of the API's, the account is the oldest of the operators'.
_PUBLISH = """
INSERT INTO evacuations AS known (id, account_id, cell, revision, summary, view)
SELECT %(id)s, account.id, %(cell)s, %(revision)s, %(summary)s, %(view)s
FROM (
    SELECT coalesce(
        (SELECT account_id FROM evacuations WHERE id = %(id)s),
        (SELECT id FROM accounts WHERE operator ORDER BY created_at, id LIMIT 1)
    ) AS id
) AS account
WHERE account.id IS NOT NULL
ON CONFLICT (id) DO UPDATE SET
    revision = excluded.revision, summary = excluded.summary, view = excluded.view
WHERE known.view IS NULL OR known.revision < excluded.revision
"""
_ACCOUNT = "SELECT account_id FROM evacuations WHERE id = %s"


@dataclass(frozen=True)
class EvacuationProjections:
    """Implements `provisioning.evacuation.ports.EvacuationProjection`.

    Views may arrive late, twice and in any order: the newest revision is what stays.
    """

    pool: Pool

    async def publish_evacuation(self, view: EvacuationView) -> None:
        """Publish the view; its events are in the audit log once, or neither is there.

        That goes for views that came late as well: a newer one may hold the event no more.
        """
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(
                _PUBLISH,
                {
                    "id": view.id,
                    "cell": view.cell,
                    "revision": view.revision,
                    "summary": EVACUATION_SUMMARY.dump_json(summary_of(view)).decode(),
                    "view": EVACUATION_VIEW.dump_json(view).decode(),
                },
            )
            row = await (await connection.execute(_ACCOUNT, (view.id,))).fetchone()
            if row is None:
                raise LookupError(
                    f"evacuation {view.id} cannot be recorded: no account is the operators'"
                )
            account, source = str(row[0]), f"{evacuation_workflow_id(view.cell)}/{view.id}"
            await append_within(
                connection,
                account,
                source,
                [_entry(account, source, view, event) for event in view.events],
            )


def summary_of(view: EvacuationView) -> EvacuationSummary:
    return EvacuationSummary(
        id=view.id,
        cell=view.cell,
        kind=view.kind,
        phase=view.phase,
        outcome=view.outcome,
        message=view.message,
        paused_by=view.paused_by,
        actor=view.actor,
        reason=view.reason,
        started_at=view.started_at,
        ended_at=view.ended_at,
        counts=view.counts,
        waits_for=view.waits_for,
        eta_p50=view.eta_p50,
        eta_p90=view.eta_p90,
    )


def _entry(account: str, source: str, view: EvacuationView, event: Event) -> AuditEntry:
    return AuditEntry(
        account=account,
        source=source,
        number=event.number,
        what=f"evacuation {event.what}",
        status="OK",
        actor=Actor("system", source, f"{view.kind.value} of cell {view.cell}"),
        details=_EVENT.dump_python(event, mode="json"),
    )
