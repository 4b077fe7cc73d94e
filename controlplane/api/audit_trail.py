"""What of a call goes into the audit log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from google.protobuf.message import Message
from pydantic import JsonValue

from controlplane.api.changes import Change
from controlplane.api.redaction import fields_of, redacted
from controlplane.api.refusals import Refusal
from controlplane.identity.types import Principal, User
from controlplane.store.audit import AuditLog
from controlplane.store.audit_entries import Actor, AuditEntry, canonical, hash_of


@dataclass(frozen=True)
class Call:
    """What somebody asks for."""

    caller: Principal
    action: str
    """The RPC, or the action of the Fleet API (`identity.permissions`)."""
    namespace: str | None = None
    """The one that the request names."""
    operation: str = ""
    """The id of the operation that a change is; empty for one that is done once it is answered."""
    request: Callable[[], JsonValue] = dict
    """Returns what is asked for; secrets are taken out before it is recorded."""
    forwarded_for: str = ""


@dataclass(frozen=True)
class AuditTrail:
    log: AuditLog

    async def record(self, call: Call, answer: object, change: Change | None) -> None:
        """Record a call with its answer; the same call answered alike is recorded once.

        The same: of the same key, under the same operation id, with the same request.
        """
        status = answer.code.name if isinstance(answer, Refusal) else "OK"
        request = redacted(call.request())
        once = call.operation or str(uuid4())
        key = [call.caller.key.id, call.action, once, request, status]
        await self.log.append(
            AuditEntry(
                account=call.caller.account.id,
                source=f"call/{hash_of(canonical(key)).hex()}",
                number=1,
                what=call.action,
                status=status,
                actor=actor_of(call.caller),
                operation=call.operation,
                forwarded_for=call.forwarded_for[:1024],
                details=_details(call, request, answer, change),
            )
        )


def actor_of(caller: Principal) -> Actor:
    """Return who the caller is, as the audit log says it."""
    match caller.owner:
        case User(id=owner, email=email):
            return Actor("user", owner, email, caller.key.id)
        case machine:
            return Actor("serviceaccount", machine.id, machine.name, caller.key.id)


def _details(
    call: Call, request: JsonValue, answer: object, change: Change | None
) -> Mapping[str, JsonValue]:
    details: dict[str, JsonValue] = {"request": request}
    if call.namespace is not None:
        details["namespace"] = redacted(call.namespace)
    if isinstance(answer, Refusal):
        details["message"] = redacted(answer.message)
    elif isinstance(answer, Message):
        # The operation in it is the request again, and how far it had come.
        shown = redacted(fields_of(answer))
        if isinstance(shown, dict):
            details["answer"] = {k: v for k, v in shown.items() if k != "asyncOperation"}
    # What a refused call would have changed, it has not.
    if change is not None and not isinstance(answer, Refusal):
        details |= {"before": redacted(change.before), "after": redacted(change.after)}
    return details
