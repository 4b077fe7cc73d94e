"""Records of calls that did something and were not answered so: their process died before, say."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from pydantic import JsonValue

from controlplane.api.redaction import fields_of, redacted
from controlplane.store.audit import AuditLog, UnrecordedOperation
from controlplane.store.audit_entries import Actor, AuditEntry

LATE_AFTER = timedelta(minutes=2)
"""No call takes that long."""

_LOOK_EVERY_SECONDS = 60.0
_BATCH = 100
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LateRecords:
    """Every API process looks; an operation is recorded late once, whoever finds it."""

    log: AuditLog
    late_after: timedelta = LATE_AFTER

    async def keep_up(self) -> None:
        """Record what is late, for ever, until cancelled."""
        while True:
            try:
                await self.catch_up()
            except Exception:
                _logger.exception("late records of calls could not be written; trying again later")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def catch_up(self) -> None:
        while late := await self.log.operations_not_recorded(self.late_after, _BATCH):
            for operation in late:
                await self.log.append(_entry(operation))


def _entry(operation: UnrecordedOperation) -> AuditEntry:
    kind = "serviceaccount" if operation.by_service_account else "user"
    return AuditEntry(
        account=operation.account,
        source=f"operation/{operation.id}",
        number=1,
        what=operation.kind,
        status="OK",
        actor=Actor(kind, operation.actor, operation.actor_name),
        operation=operation.id,
        details={
            "request": redacted(_request(operation.request)),
            "namespace": operation.namespace,
            "askedAt": operation.claimed_at.isoformat(),
            "message": "recorded late: it was done, and its call never answered as done",
        },
    )


def _request(packed: bytes) -> JsonValue:
    try:
        return fields_of(AnyMessage.FromString(packed))
    except DecodeError:
        return None
