"""What people see of an activity while it runs: the newest, and not too often."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from cells.life import progress
from cells.life.progress import telling
from tests.eventually import eventually


async def test_of_many_lines_at_once_the_first_and_the_last_are_told() -> None:
    sent: list[str] = []

    async def run() -> None:
        async with telling(_into(sent)) as tell:
            await tell("creating 0")
            await eventually(lambda: _has(sent, "creating 0"))
            for number in range(1, 100):
                await tell(f"creating {number}")
            await eventually(lambda: _has(sent, "creating 99"))

    clock = asyncio.get_running_loop().time
    began = clock()
    await ActivityEnvironment().run(run)

    assert sent == ["creating 0", "creating 99"]
    assert clock() - began >= progress.AT_MOST_EVERY


async def test_an_attempt_that_fails_tells_why_at_once() -> None:
    sent: list[str] = []

    async def run() -> None:
        async with telling(_into(sent)):
            raise ConnectionError("no route to the cloud")

    with pytest.raises(ConnectionError):
        await ActivityEnvironment().run(run)

    assert sent == ["attempt 1 failed: no route to the cloud"]


async def test_work_goes_on_though_nobody_can_be_told() -> None:
    async def refuse(line: str) -> None:
        raise RPCError(f"{line}: the engine is away", RPCStatusCode.UNAVAILABLE, b"")

    async def run() -> str:
        async with telling(refuse) as tell:
            await tell("creating")
            await asyncio.sleep(0)
            return "done"

    assert await ActivityEnvironment().run(run) == "done"


def _into(sent: list[str]) -> Callable[[str], Awaitable[None]]:
    async def send(line: str) -> None:
        sent.append(line)

    return send


async def _has(sent: list[str], line: str) -> bool:
    return line in sent
