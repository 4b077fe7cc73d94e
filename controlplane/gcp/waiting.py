"""Waiting for what Google does in its own time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

Found = TypeVar("Found")

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0


async def until(look: Callable[[], Awaitable[Found | None]], aim: str, within: timedelta) -> Found:
    """Return what `look` finds, looking ever less often; raise TimeoutError naming the aim."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within.total_seconds()
    pause = _FIRST_PAUSE_SECONDS
    while (found := await look()) is None:
        if loop.time() > deadline:
            raise TimeoutError(f"{aim} has not happened after {within.total_seconds():g} s")
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    return found
