"""What an activity lets people see while it runs: seldom enough for a workflow's history."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from temporalio import activity
from temporalio.service import RPCError

from cells.life.ports import Progress

AT_MOST_EVERY = 1.0
"""Seconds."""
LONGEST_PAUSE = 15.0
"""Seconds. Each line costs a dozen events of a history that is to hold hours of them."""
RARER_AFTER = 60.0
"""Seconds after which a pause is as many seconds long as minutes have passed."""


@asynccontextmanager
async def telling(send: Callable[[str], Awaitable[None]]) -> AsyncIterator[Progress]:
    """Yield what tells `send` how the activity goes, the newest line only when many come at once.

    An attempt that fails tells why: people need not wait until the last one has.
    """
    teller = _Teller(send)
    passing_on = asyncio.create_task(teller.pass_on())
    try:
        yield teller.tell
    except Exception as error:
        await teller.say(f"attempt {activity.info().attempt} failed: {error}")
        raise
    finally:
        passing_on.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await passing_on


class _Teller:
    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._news = asyncio.Event()
        self._line = ""

    async def tell(self, line: str) -> None:
        self._line = line
        self._news.set()

    async def pass_on(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            await self._news.wait()
            self._news.clear()
            await self.say(self._line)
            rarer = (clock() - began) / RARER_AFTER
            await asyncio.sleep(min(max(rarer, AT_MOST_EVERY), LONGEST_PAUSE))

    async def say(self, line: str) -> None:
        with contextlib.suppress(RPCError):  # The work does not wait for those who watch it.
            await self._send(line)
