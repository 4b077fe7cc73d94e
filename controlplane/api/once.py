"""Requests that change a namespace, each taken to its entity once, whatever door it came by."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from temporalio.exceptions import ApplicationError

from controlplane.api import limits
from controlplane.errors import invalid_argument
from controlplane.identity.types import Principal
from controlplane.store.operations import AccessChange, Claim, Claims
from provisioning.ports import NamespaceProjection
from provisioning.types import NamespaceView, Operation, OperationKind


@dataclass(frozen=True)
class Once:
    claims: Claims
    projection: NamespaceProjection

    async def begin(
        self, claim: Claim, ask_entity: Callable[[], Awaitable[NamespaceView]]
    ) -> Operation:
        """Return the claim's operation, begun now unless this request began it before."""
        known = await self.claims.claim(claim)
        if known is not None:
            return known
        try:
            view = await ask_entity()
        except ApplicationError as refusal:
            if refusal.non_retryable:
                await self.claims.withdraw(claim)
            raise
        # The entity publishes this too, but later: a read right after this call must see it.
        await self.projection.publish_namespace(view)
        return next(operation for operation in view.operations if operation.id == claim.id)


def claim_of(
    caller: Principal,
    kind: OperationKind | AccessChange,
    namespace: str,
    request: Message,
    operation_id: str,
) -> Claim:
    """Return the claim of a request under the id that its caller chose, or one chosen for it."""
    if operation_id and not limits.OPERATION_ID.fullmatch(operation_id):
        raise invalid_argument(
            f"async_operation_id {operation_id[:200]!r} cannot be used: send up to 200 printable "
            "ASCII characters without blanks, a UUID say, or leave it empty"
        )
    packed = AnyMessage()
    packed.Pack(request, deterministic=True)
    return Claim(
        account=caller.account.id,
        id=operation_id or str(uuid4()),
        kind=kind.value,
        namespace=namespace,
        request=packed.SerializeToString(deterministic=True),
        actor=caller.owner.id,
    )
