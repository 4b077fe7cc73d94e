"""How many operations an account has open at once, those that are about to be recorded included."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from controlplane.identity.quota import Quota


@dataclass
class _Flights:
    """The calls of one account under way in this process."""

    admitting: asyncio.Lock = field(default_factory=asyncio.Lock)
    new: Counter[str] = field(default_factory=Counter)
    """The operations that they begin, with how many calls ask for each."""
    users: int = 0


@dataclass
class OperationsAtOnce:
    """Holds the limit exactly within one process.

    The operations table says what is open; calls that this process let through, whose operations
    may not be in the table yet, are counted on top. Two processes that let calls of one account
    through within the same milliseconds do not see each other's, and may exceed the limit by as
    many; they see them as soon as the operations are claimed.
    """

    quota: Quota
    _accounts: dict[str, _Flights] = field(default_factory=dict)

    @asynccontextmanager
    async def admitted(self, account: str, operation: str) -> AsyncIterator[None]:
        """Let the block's call count as an open operation, or raise if there are enough of them.

        A call for an operation that is there already, under way or recorded, does not count.
        """
        flights = self._accounts.setdefault(account, _Flights())
        flights.users += 1
        try:
            async with flights.admitting:
                begins = operation in flights.new or await self.quota.begins_operation(
                    account, operation, flights.new
                )
                flights.new[operation] += begins
            try:
                yield
            finally:
                flights.new[operation] -= begins
                flights.new += Counter()  # Drops what is at zero.
        finally:
            flights.users -= 1
            if not flights.users:
                del self._accounts[account]
