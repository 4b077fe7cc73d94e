"""Where rollouts publish what others may read of them."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from controlplane.ids import rollout_workflow_id
from controlplane.store.audit import append_within
from controlplane.store.audit_entries import Actor, AuditEntry
from controlplane.store.pool import Pool
from rollout.policy import Lane
from rollout.types import CellStatus, Event, Outcome, Phase, RolloutView


@dataclass(frozen=True)
class RolloutSummary:
    """A rollout as lists show it, without its cells one by one."""

    id: str
    release: str
    server_version: str
    lane: Lane
    phase: Phase
    outcome: Outcome | None
    message: str
    paused_by: str
    actor: str
    reason: str
    started_at: datetime | None
    ended_at: datetime | None
    ring: int | None
    cells: dict[CellStatus, int]
    """How many have each status."""
    eta_p50: datetime | None
    eta_p90: datetime | None
    blocked: str


ROLLOUT_VIEW = TypeAdapter(RolloutView)
ROLLOUT_SUMMARY = TypeAdapter(RolloutSummary)
EVENT = TypeAdapter(Event)

# Without a claim of the API's, the account is the oldest of the operators'.
_PUBLISH = """
INSERT INTO rollouts AS known
    (id, account_id, revision, phase, release, started_at, summary, view)
SELECT %(id)s, account.id, %(revision)s, %(phase)s, %(release)s, %(started_at)s, %(summary)s,
       %(view)s
FROM (
    SELECT coalesce(
        (SELECT account_id FROM rollouts WHERE id = %(id)s),
        (SELECT id FROM accounts WHERE operator ORDER BY created_at, id LIMIT 1)
    ) AS id
) AS account
WHERE account.id IS NOT NULL
ON CONFLICT (id) DO UPDATE SET
    revision = excluded.revision, phase = excluded.phase, release = excluded.release,
    started_at = excluded.started_at, summary = excluded.summary, view = excluded.view
WHERE known.view IS NULL OR known.revision < excluded.revision
"""
_ACCOUNT = "SELECT account_id FROM rollouts WHERE id = %s"


@dataclass(frozen=True)
class RolloutProjections:
    """Implements `rollout.ports.RolloutProjection`.

    Views may arrive late, twice and in any order: the newest revision is what stays.
    """

    pool: Pool

    async def publish_rollout(self, view: RolloutView) -> None:
        """Publish the view; its events are in the audit log once, or neither is there.

        That goes for views that came late as well: a newer one may hold the event no more.
        """
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(
                _PUBLISH,
                {
                    "id": view.id,
                    "revision": view.revision,
                    "phase": view.phase.value,
                    "release": view.release,
                    "started_at": view.started_at,
                    "summary": ROLLOUT_SUMMARY.dump_json(summary_of(view)).decode(),
                    "view": ROLLOUT_VIEW.dump_json(view).decode(),
                },
            )
            row = await (await connection.execute(_ACCOUNT, (view.id,))).fetchone()
            if row is None:
                raise LookupError(
                    f"rollout {view.id} cannot be recorded: no account is the operators'"
                )
            account = str(row[0])
            await append_within(
                connection,
                account,
                rollout_workflow_id(view.id),
                [_entry(account, view, event) for event in view.events],
            )


def summary_of(view: RolloutView) -> RolloutSummary:
    return RolloutSummary(
        id=view.id,
        release=view.release,
        server_version=view.server_version,
        lane=view.lane,
        phase=view.phase,
        outcome=view.outcome,
        message=view.message,
        paused_by=view.paused_by,
        actor=view.actor,
        reason=view.reason,
        started_at=view.started_at,
        ended_at=view.ended_at,
        ring=view.ring,
        cells=dict(Counter(progress.status for progress in view.cells.values())),
        eta_p50=view.eta_p50,
        eta_p90=view.eta_p90,
        blocked=view.blocked,
    )


def _entry(account: str, view: RolloutView, event: Event) -> AuditEntry:
    entity = rollout_workflow_id(view.id)
    return AuditEntry(
        account=account,
        source=entity,
        number=event.number,
        what=f"rollout {event.what}",
        status="OK",
        actor=Actor("system", entity, f"rollout {view.id}"),
        details=EVENT.dump_python(event, mode="json"),
    )
