"""Wait for a condition instead of sleeping and hoping."""

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(
    probe: Callable[[], Awaitable[bool]], *, within: float = 60, every: float = 0.05
) -> None:
    """Return once `probe` is true, or raise TimeoutError."""
    async with asyncio.timeout(within):
        while not await probe():  # noqa: ASYNC110 - what we wait for has no event of its own
            await asyncio.sleep(every)
