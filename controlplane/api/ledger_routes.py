"""The Fleet API's paths about the disruption ledger: who disturbs which cell."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends

from cells.ledger.types import Fence, Fenced, LedgerView
from controlplane.api.operator_calls import OperatorCalls, actor
from controlplane.api.operator_types import Fencing
from controlplane.api.ports import LedgerWriter
from controlplane.api.strict_body import KeepableText
from controlplane.errors import failed_precondition
from controlplane.identity.types import Principal
from controlplane.store.ledger import LedgerProjections


@dataclass(frozen=True)
class LedgerRoutes:
    calls: OperatorCalls
    ledger: LedgerProjections
    writer: LedgerWriter

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter(prefix="/fleet/v1/ledger")

        @router.get("")
        async def ledger(caller: Caller) -> LedgerView:
            """Return the leases in force, and those that operators took away."""
            await self.calls.reading(caller, "fleet.ledger.read")
            return await self.ledger.read()

        @router.post("/{cell}:fence")
        async def fence(caller: Caller, cell: KeepableText, asked: Fencing) -> Fenced:
            """Take the lease of a holder that can do no more. It is the caller who vouches."""

            async def take() -> Fenced:
                taken = await self.writer.fence(
                    Fence(cell, asked.holder, actor(caller), asked.reason)
                )
                if taken is None:
                    raise failed_precondition(
                        f"{asked.holder} has no lease of {cell}: `controlplane ledger list` shows "
                        "who has which"
                    )
                return taken

            return await self.calls.change(caller, "fleet.ledger.fence", asked, take, cell=cell)

        return router
