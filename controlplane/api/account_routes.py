"""The Fleet API's paths about accounts: limits, audit log and metrics."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import AwareDatetime

from controlplane.api.audit_trail import Call
from controlplane.api.authentication import FORWARDED_FOR
from controlplane.api.calls import Calls, answered
from controlplane.api.changes import note_change
from controlplane.api.metrics import Exposition
from controlplane.api.strict_body import KeepableText
from controlplane.errors import not_found
from controlplane.identity.accounts import account_exists
from controlplane.identity.limits import AccountLimits, read_limits, set_limits
from controlplane.identity.types import Principal
from controlplane.store.audit import AuditLog, Verification

READ_LIMITS = "fleet.account-limits.read"
SET_LIMITS = "fleet.account-limits.write"
READ_ANY_LIMITS = "fleet.accounts.limits"
EXPORT_AUDIT_LOG = "fleet.audit.export"
READ_METRICS = "fleet.metrics"


@dataclass(frozen=True)
class AccountRoutes:
    calls: Calls
    log: AuditLog
    metrics: Exposition

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter()

        @router.get("/fleet/v1/account/limits")
        async def limits(caller: Caller) -> AccountLimits:
            """Return the limits of the caller's account."""
            await self.calls.admitted(caller, READ_LIMITS, None)
            return await read_limits(self.log.pool, caller.account.id)

        @router.put("/fleet/v1/account/limits")
        async def change_limits(caller: Caller, changes: dict[str, int | None]) -> AccountLimits:
            """Set limits of the operators' own account; null brings a default back."""
            return await self._change_limits(caller, caller.account.id, changes)

        @router.get("/fleet/v1/accounts/{account}/limits")
        async def limits_of(caller: Caller, account: KeepableText) -> AccountLimits:
            """Return the limits of any account, for operators."""
            await self.calls.admitted(caller, READ_ANY_LIMITS, None)
            await self._must_be_there(account)
            return await read_limits(self.log.pool, account)

        @router.put("/fleet/v1/accounts/{account}/limits")
        async def change_limits_of(
            caller: Caller, account: KeepableText, changes: dict[str, int | None]
        ) -> AccountLimits:
            """Set the limits that are named; null brings a default back. Returns all of them."""
            return await self._change_limits(caller, account, changes)

        @router.get(
            "/fleet/v1/audit-log",
            response_class=StreamingResponse,
            responses={200: {"content": {"application/x-ndjson": {}}}},
        )
        async def audit_log(
            caller: Caller,
            since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
            until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
        ) -> StreamingResponse:
            """Return the audit log of the caller's account as NDJSON, a record with its hash each.

            To check a record, take `hash` out, write the rest as JSON with sorted keys, without
            blanks and in ASCII, and take its SHA-256; `previous` is the `hash` before it.
            """
            await self.calls.admitted(caller, EXPORT_AUDIT_LOG, None)
            lines = self.log.export(caller.account.id, since, until)
            # A database that does not answer is told by the status, which is sent first.
            first = await anext(lines, "")
            return StreamingResponse(_beginning(first, lines), media_type="application/x-ndjson")

        @router.get("/fleet/v1/audit-log/verification")
        async def verification(caller: Caller) -> Verification:
            """Check every record of the caller's account against its hash and its place."""
            await self.calls.admitted(caller, EXPORT_AUDIT_LOG, None)
            return await self.log.verify(caller.account.id)

        @router.get("/metrics", response_class=Response)
        async def metrics(caller: Caller) -> Response:
            """Return what Prometheus scrapes of the caller's account."""
            await self.calls.admitted(caller, READ_METRICS, None)
            text = await self.metrics.text(caller.account.id)
            return Response(text, media_type=CONTENT_TYPE_LATEST)

        return router

    async def _must_be_there(self, account: str) -> None:
        if not await account_exists(self.log.pool, account):
            raise not_found(f"account {account!r} not found")

    async def _change_limits(
        self, caller: Principal, account: str, changes: dict[str, int | None]
    ) -> AccountLimits:
        async def change() -> AccountLimits:
            await self._must_be_there(account)
            before = asdict(await read_limits(self.log.pool, account))
            await set_limits(self.log.pool, account, changes)
            self.calls.limits.forget(account)
            after = await read_limits(self.log.pool, account)
            note_change(before, asdict(after))
            return after

        call = Call(
            caller,
            SET_LIMITS,
            request=lambda: {"account": account, "limits": dict(changes)},
            forwarded_for=FORWARDED_FOR.get(),
        )
        return answered(await self.calls.change(call, change))


async def _beginning(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for line in rest:
        yield line
