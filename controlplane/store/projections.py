"""Where entities publish what others may read of them."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from cells.types import CellView
from controlplane.ids import account_of
from controlplane.store.pool import Pool
from provisioning.types import NamespaceView, Operation

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
    INSERT INTO namespaces (id, account_id, name, uid, revision, life, cell, view)
    VALUES (%(id)s, %(account)s, %(name)s, %(uid)s, %(revision)s, %(life)s, %(cell)s, %(view)s)
    ON CONFLICT (id) DO UPDATE SET
        uid = excluded.uid, revision = excluded.revision, life = excluded.life,
        cell = excluded.cell, view = excluded.view
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
        async with self.pool.connection() as connection:
            await connection.execute(
                _PUBLISH_NAMESPACE,
                {
                    "id": view.id,
                    "account": account_of(view.id),
                    "name": view.id.rpartition(".")[0],
                    "uid": view.uid,
                    "revision": view.revision,
                    "life": view.life.value,
                    "cell": view.cell,
                    "view": NAMESPACE_VIEW.dump_json(view).decode(),
                    "operations": _OPERATIONS.dump_json(view.operations).decode(),
                },
            )
