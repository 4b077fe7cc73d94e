"""Requests by the id their caller chose: asked twice, done once, answered alike.

A request is claimed before an entity hears of it; from the entity's first view on, the operation
is known. Dying in between leaves a claim that nobody sees and that the caller's retry takes up.
"""

from dataclasses import dataclass

from controlplane.errors import already_exists
from controlplane.store.pool import Pool
from controlplane.store.projections import OPERATION
from provisioning.types import Operation

# The update changes nothing: it makes the row that was there before come back.
_CLAIM = """
INSERT INTO operations AS known (account_id, id, namespace, kind, request)
VALUES (%(account)s, %(id)s, %(namespace)s, %(kind)s, %(request)s)
ON CONFLICT (account_id, id) DO UPDATE SET request = coalesce(known.request, excluded.request)
RETURNING namespace, kind, request, view::text
"""
_WITHDRAW = """
DELETE FROM operations WHERE account_id = %(account)s AND id = %(id)s AND view IS NULL
"""


@dataclass(frozen=True)
class Claim:
    """One mutating request of one account."""

    account: str
    id: str
    """The `async_operation_id`: chosen by the caller, or for it."""
    kind: str
    """The RPC's name."""
    namespace: str
    request: bytes
    """A serialised `google.protobuf.Any` of the request; equal requests have equal bytes."""


@dataclass(frozen=True)
class Claims:
    pool: Pool

    async def claim(self, claim: Claim) -> Operation | None:
        """Return the operation this request began before, or None: go on, be it once more.

        Raises `already_exists` when the id stands for another request.
        """
        async with self.pool.connection() as connection:
            rows = await connection.execute(_CLAIM, vars(claim))
            row = await rows.fetchone()
        if row is None:
            raise RuntimeError("an upsert without condition returned no row")
        namespace, kind, request, view = row
        if (namespace, kind, request) != (claim.namespace, claim.kind, claim.request):
            raise already_exists(
                f"async_operation_id {claim.id!r} already stands for another request "
                f"({kind} of {namespace}): send this request under a new id, or leave the id empty"
            )
        return None if view is None else OPERATION.validate_json(view)

    async def withdraw(self, claim: Claim) -> None:
        """Forget the claim of a request that was refused: its id is free again."""
        async with self.pool.connection() as connection:
            await connection.execute(_WITHDRAW, vars(claim))
