"""Requests by the id their caller chose: asked twice, done once, answered alike.

What a namespace's entity does is claimed before the entity hears of it; from the entity's first
view on, the operation is known. Dying in between leaves a claim that nobody sees and that the
caller's retry takes up. What changes access is claimed, done and known in one transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from psycopg import AsyncConnection
from pydantic import TypeAdapter

from controlplane.errors import already_exists
from controlplane.store.pool import Pool
from controlplane.store.projections import OPERATION
from provisioning.types import Operation, OperationState, StepRecord

# The update changes nothing: it makes the row that was there before come back.
_CLAIM = """
INSERT INTO operations AS known (account_id, id, namespace, kind, request, actor)
VALUES (%(account)s, %(id)s, nullif(%(namespace)s, ''), %(kind)s, %(request)s,
        nullif(%(actor)s, ''))
ON CONFLICT (account_id, id) DO UPDATE SET request = coalesce(known.request, excluded.request)
RETURNING coalesce(namespace, ''), kind, request, view::text, coalesce(resource, '')
"""
_WITHDRAW = """
DELETE FROM operations WHERE account_id = %(account)s AND id = %(id)s AND view IS NULL
"""
_BEGIN = """
UPDATE operations
SET resource = %(resource)s, access_revision = %(revision)s, state = %(state)s, view = %(view)s
WHERE account_id = %(account)s AND id = %(id)s
"""


class AccessChange(StrEnum):
    """The RPC that asked for it: the `operation_type` of the Cloud Ops API."""

    CREATE_API_KEY = "CreateApiKey"
    UPDATE_API_KEY = "UpdateApiKey"
    DELETE_API_KEY = "DeleteApiKey"
    CREATE_SERVICE_ACCOUNT = "CreateServiceAccount"
    UPDATE_SERVICE_ACCOUNT = "UpdateServiceAccount"
    DELETE_SERVICE_ACCOUNT = "DeleteServiceAccount"
    SET_SERVICE_ACCOUNT_NAMESPACE_ACCESS = "SetServiceAccountNamespaceAccess"


@dataclass(frozen=True)
class AccessOperation:
    """A change of who may do what: in force here at once, FULFILLED once every cell enforces it."""

    id: str
    kind: AccessChange
    state: OperationState
    started_at: datetime
    finished_at: datetime | None = None
    failure_reason: str = ""
    steps: tuple[StepRecord, ...] = ()


AnyOperation = Operation | AccessOperation
ANY_OPERATION: TypeAdapter[AnyOperation] = TypeAdapter(AnyOperation)
_ACCESS_OPERATION = TypeAdapter(AccessOperation)


@dataclass(frozen=True)
class Claim:
    """One mutating request of one account."""

    account: str
    id: str
    """The `async_operation_id`: chosen by the caller, or for it."""
    kind: str
    """The RPC's name."""
    namespace: str
    """Empty for what is not about one namespace."""
    request: bytes
    """A serialised `google.protobuf.Any` of the request; equal requests have equal bytes."""
    actor: str = ""
    """The id of the user or service account who asks. Who asks for a namespace becomes its admin
    once its entity has taken the request up (see migration 0003)."""


@dataclass(frozen=True)
class Claims:
    pool: Pool

    async def claim(self, claim: Claim) -> Operation | None:
        """Return the operation this request began before, or None: go on, be it once more.

        Raises `already_exists` when the id stands for another request.
        """
        async with self.pool.connection() as connection:
            view, _ = await _claim(connection, claim)
        return None if view is None else OPERATION.validate_json(view)

    async def withdraw(self, claim: Claim) -> None:
        """Forget the claim of a request that was refused: its id is free again."""
        async with self.pool.connection() as connection:
            await connection.execute(_WITHDRAW, vars(claim))


async def claim_access_change(
    connection: AsyncConnection, claim: Claim
) -> tuple[AccessOperation, str] | None:
    """Return the operation this request began before, and the id of what it is about, or None.

    The id is the claim's as soon as the caller's transaction commits; duplicates wait for that.
    """
    view, resource = await _claim(connection, claim)
    return None if view is None else (_ACCESS_OPERATION.validate_json(view), resource)


async def begin_access_change(
    connection: AsyncConnection,
    claim: Claim,
    *,
    resource: str,
    revision: int | None,
    now: datetime,
) -> AccessOperation:
    """Record what a claimed request has changed.

    With a revision, it is done once every cell enforces that revision of the account's access;
    without one, no cell has to hear of it.
    """
    done = revision is None
    operation = AccessOperation(
        claim.id,
        AccessChange(claim.kind),
        OperationState.FULFILLED if done else OperationState.IN_PROGRESS,
        started_at=now,
        finished_at=now if done else None,
    )
    await connection.execute(
        _BEGIN,
        {
            "account": claim.account,
            "id": claim.id,
            "resource": resource,
            "revision": revision,
            "state": operation.state.value,
            "view": _ACCESS_OPERATION.dump_json(operation).decode(),
        },
    )
    return operation


async def _claim(connection: AsyncConnection, claim: Claim) -> tuple[str | None, str]:
    """Return the view of the operation that this request began before, if it is known."""
    row = await (await connection.execute(_CLAIM, vars(claim))).fetchone()
    if row is None:
        raise RuntimeError("an upsert without condition returned no row")
    namespace, kind, request, view, resource = row
    if (namespace, kind, request) != (claim.namespace, claim.kind, claim.request):
        of = f" of {namespace}" if namespace else ""
        raise already_exists(
            f"async_operation_id {claim.id!r} already stands for another request ({kind}{of}): "
            "send this request under a new id, or leave the id empty"
        )
    return view, resource
