"""What those who run the fleet ask, on the one path of every call."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import JsonValue

from controlplane.api.audit_trail import Call
from controlplane.api.authentication import FORWARDED_FOR
from controlplane.api.calls import Calls, answered
from controlplane.api.strict_body import StrictBody
from controlplane.identity.types import Principal, User

T = TypeVar("T")


@dataclass(frozen=True)
class OperatorCalls:
    calls: Calls

    async def reading(self, caller: Principal, action: str) -> None:
        """Return if the caller may read this now; raise what refuses it."""
        await self.calls.admitted(caller, action, None)

    async def change(
        self,
        caller: Principal,
        action: str,
        asked: StrictBody | None,
        work: Callable[[], Awaitable[T]],
        **about: str,
    ) -> T:
        """Do the work if the caller may, and record the call with its body and what it is about."""

        def request() -> JsonValue:
            body = {} if asked is None else asked.model_dump(mode="json", exclude_unset=True)
            return {**body, **about}

        call = Call(caller, action, request=request, forwarded_for=FORWARDED_FOR.get())
        return answered(await self.calls.change(call, work))


def actor(caller: Principal) -> str:
    """Return who the caller is, for people: an address, or the name of a service account."""
    match caller.owner:
        case User(email=email):
            return email
        case machine:
            return f"serviceaccount/{machine.name}"
