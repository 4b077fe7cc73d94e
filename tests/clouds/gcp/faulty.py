"""What every call goes through: whose is it, is it counted, does it go wrong?"""

import asyncio
import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.clouds.gcp.api_errors import ApiError, denied
from tests.clouds.gcp.faults import RETRY_AFTER, SLOW_SECONDS, Faults, Kind

Answer = TypeVar("Answer")
Caller = str
"""Such as `serviceAccount:controlplane@ops.iam.gserviceaccount.com`."""


@dataclass
class Front:
    tokens: dict[str, Caller] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    calls: Counter[str] = field(default_factory=Counter)
    callers: dict[str, set[Caller]] = field(default_factory=dict)
    """Who made which call."""

    async def passed(self, call: str, token: str, done: Callable[[Caller], Answer]) -> Answer:
        """Return what the call does, unless it goes wrong."""
        caller = self.tokens.get(token)
        if caller is None:
            raise ApiError(
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
                "ACCESS_TOKEN_EXPIRED",
            )
        self.calls[call] += 1
        self.callers.setdefault(call, set()).add(caller)
        match self.faults.next(call):
            case Kind.THROTTLE:
                raise ApiError(
                    "RESOURCE_EXHAUSTED",
                    f"Quota exceeded for quota metric 'requests' of {call} per minute",
                    reason="RATE_LIMIT_EXCEEDED",
                    delay=RETRY_AFTER,
                    is_rate=True,
                )
            case Kind.ERROR:
                raise ApiError("UNAVAILABLE", "The service is currently unavailable.")
            case Kind.RESET:
                raise ConnectionResetError("Connection reset by peer")
            case Kind.LOST:
                done(caller)
                raise ConnectionResetError("Connection reset by peer")
            case Kind.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
            case Kind.DENIED:
                raise denied(f"{call.lower()}.permission", "projects/somewhere")
            case Kind.QUOTA:
                raise ApiError(
                    "RESOURCE_EXHAUSTED",
                    "Quota 'things' exceeded. Limit: 3.",
                    quota="things:projects/somewhere",
                )
            case None:
                pass
        # What was answered is not changed by what happens later.
        return copy.deepcopy(done(caller))
