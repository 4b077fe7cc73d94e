"""GetAuditLogs: who asked for what in the caller's account, and what its entities decided."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.auditlog.v1 import LogRecord
from temporalio.api.cloud.auditlog.v1 import Principal as LoggedPrincipal
from temporalio.api.cloud.cloudservice.v1 import GetAuditLogsRequest, GetAuditLogsResponse

from controlplane.api.messages import timestamp
from controlplane.api.paging import page_size, page_start, page_token
from controlplane.errors import invalid_argument
from controlplane.identity.types import Principal
from controlplane.store.audit import AuditLog
from controlplane.store.audit_entries import AuditRecord

DEFAULT_PERIOD = timedelta(days=30)
LARGEST_PAGE = 2 * 1024 * 1024
"""Bytes: most clients take messages of up to 4 MB."""

_VERSION = 1
"""Of what `raw_details` hold."""


@dataclass(frozen=True)
class AuditHandlers:
    log: AuditLog

    async def list(self, caller: Principal, request: GetAuditLogsRequest) -> GetAuditLogsResponse:
        """Return records in the order of their times, which is that of their ids."""
        now = datetime.now(UTC)
        since = (
            _moment("start_time_inclusive", request.start_time_inclusive)
            if request.HasField("start_time_inclusive")
            else now - DEFAULT_PERIOD
        )
        until = (
            _moment("end_time_exclusive", request.end_time_exclusive)
            if request.HasField("end_time_exclusive")
            else None
        )
        if until is not None and until <= since:
            raise invalid_argument(
                f"end_time_exclusive {until.isoformat()} is not after start_time_inclusive "
                f"{since.isoformat()}: send a later end, or leave it out for everything since"
            )
        listing = f"audit log of {caller.account.id}"
        size = page_size(request.page_size)
        # One more than asked for tells whether there is another page.
        records = await self.log.read(
            caller.account.id,
            after=_sequence(page_start(listing, request.page_token)),
            since=since,
            until=until,
            limit=size + 1,
        )
        logs, room = list[LogRecord](), LARGEST_PAGE
        for record in records[:size]:
            message = _message(record)
            room -= message.ByteSize()
            if logs and room < 0:
                break
            logs.append(message)
        more = len(records) > len(logs)
        last = str(records[len(logs) - 1].sequence) if more else ""
        return GetAuditLogsResponse(
            logs=logs, next_page_token=page_token(listing, last) if more else ""
        )


def _moment(field: str, sent: Timestamp) -> datetime:
    try:
        return sent.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise invalid_argument(
            f"{field} ({sent.seconds} s, {sent.nanos} ns) is no time between the years 1 and 9999"
        ) from None


def _sequence(after: str) -> int:
    if after and not (after.isascii() and after.isdigit() and len(after) < 19):
        raise invalid_argument(
            "page_token does not belong to this list: send the next_page_token of the page before"
        )
    return int(after or 0)


def _message(record: AuditRecord) -> LogRecord:
    entry = record.entry
    message = LogRecord(
        emit_time=timestamp(record.emitted_at),
        operation=entry.what,
        status=entry.status,
        version=_VERSION,
        log_id=record.log_id,
        principal=LoggedPrincipal(
            type=entry.actor.type,
            id=entry.actor.id,
            name=entry.actor.name,
            api_key_id=entry.actor.api_key,
        ),
        x_forwarded_for=entry.forwarded_for,
        async_operation_id=entry.operation,
    )
    ParseDict(dict(entry.details), message.raw_details)
    return message
