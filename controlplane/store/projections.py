"""Where entities publish what others may read of them."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from cells.types import CellView
from controlplane.ids import account_of, namespace_workflow_id
from controlplane.store.audit import append_within
from controlplane.store.audit_entries import Actor, AuditEntry
from controlplane.store.pool import Pool
from provisioning.types import Decision, NamespaceView, Operation

CELL_VIEW = TypeAdapter(CellView)
NAMESPACE_VIEW = TypeAdapter(NamespaceView)
OPERATION = TypeAdapter(Operation)
_OPERATIONS = TypeAdapter(tuple[Operation, ...])

_PUBLISH_CELL = """
INSERT INTO cells (id, revision, view) VALUES (%(id)s, %(revision)s, %(view)s)
ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, view = excluded.view
WHERE cells.revision < excluded.revision
"""

# The operations travel with the view: a reader sees both of one revision, or neither. What the API
# recorded with the claim (the request) stays.
_PUBLISH_NAMESPACE = """
WITH newer AS (
    INSERT INTO namespaces (id, account_id, name, uid, revision, life, cell, passive, view)
    VALUES (%(id)s, %(account)s, %(name)s, %(uid)s, %(revision)s, %(life)s, %(cell)s, %(passive)s,
            %(view)s)
    ON CONFLICT (id) DO UPDATE SET
        uid = excluded.uid, revision = excluded.revision, life = excluded.life,
        cell = excluded.cell, passive = excluded.passive, view = excluded.view
    WHERE namespaces.revision < excluded.revision
    RETURNING account_id, id
)
INSERT INTO operations AS known (account_id, id, namespace, kind, state, view)
SELECT newer.account_id, operation->>'id', newer.id, operation->>'kind', operation->>'state',
       operation
FROM newer, jsonb_array_elements(%(operations)s::jsonb) AS operation
ON CONFLICT (account_id, id) DO UPDATE SET state = excluded.state, view = excluded.view
WHERE known.namespace = excluded.namespace AND known.view IS DISTINCT FROM excluded.view
"""


@dataclass(frozen=True)
class Projections:
    """Implements `cells.ports.CellProjection` and `provisioning.ports.NamespaceProjection`.

    Views may arrive late, twice and in any order: the newest revision is what stays.
    """

    pool: Pool

    async def publish_cell(self, view: CellView) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(
                _PUBLISH_CELL,
                {
                    "id": view.id,
                    "revision": view.revision,
                    "view": CELL_VIEW.dump_json(view).decode(),
                },
            )

    async def publish_namespace(self, view: NamespaceView) -> None:
        """Publish the view; what the entity decided is in the audit log once, or neither is there.

        That goes for views that came late as well: a newer one may hold the decision no more.
        """
        account = account_of(view.id)
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(
                _PUBLISH_NAMESPACE,
                {
                    "id": view.id,
                    "account": account,
                    "name": view.id.rpartition(".")[0],
                    "uid": view.uid,
                    "revision": view.revision,
                    "life": view.life.value,
                    "cell": view.cell,
                    "passive": sorted(view.passive),
                    "view": NAMESPACE_VIEW.dump_json(view).decode(),
                    "operations": _OPERATIONS.dump_json(view.operations).decode(),
                },
            )
            # After the rows of the read model, always: whoever locks both takes them in this order.
            await append_within(
                connection, account, view.uid, [_entry(view, each) for each in view.decisions]
            )


def _entry(view: NamespaceView, decision: Decision) -> AuditEntry:
    entity = namespace_workflow_id(view.id)
    return AuditEntry(
        account=account_of(view.id),
        source=view.uid,
        number=decision.number,
        what=decision.kind.value,
        status="OK",
        actor=Actor("system", entity, f"namespace {view.id}"),
        operation=decision.operation,
        details={
            "namespace": view.id,
            "decidedAt": decision.at.isoformat(),
            "message": decision.message,
            "before": decision.before,
            "after": decision.after,
        },
    )
