"""The process that loads namespaces: `python -m tests.load.process PLAN`.

Its event loop is its own, so that what it measures is not its observer's slowness. It is told on
standard input, a word a line: `reconnect` gives every namespace a new client, with the credentials
that its files hold now; `stop` ends the schedule. It tells on standard output, JSON a line.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from pydantic import TypeAdapter

from tests.load.outcomes import Connected, Ended, Schedule
from tests.load.traffic import Entrance, Traffic

FIRST_AFTER_SECONDS = 0.5

_told = sys.stdout


@dataclass(frozen=True)
class Plan:
    entrances: tuple[Entrance, ...]
    interval: float
    """Seconds from one workflow of a namespace to its next."""
    reconnect_every: float
    """Seconds from one namespace's new connection to that of the next in turn."""


PLAN = TypeAdapter(Plan)


async def main(plan: Plan) -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    async with AsyncExitStack() as closing:
        traffics = [Traffic(entrance, _tell, closing) for entrance in plan.entrances]
        for traffic in traffics:
            await traffic.open()
        namespaces = tuple(entrance.namespace for entrance in plan.entrances)
        schedule = Schedule(time.monotonic() + FIRST_AFTER_SECONDS, plan.interval, namespaces)
        _say("begun", asdict(schedule))
        stopped = asyncio.Event()
        turning = asyncio.create_task(_take_turns(traffics, plan.reconnect_every))
        loads = [asyncio.create_task(t.follow(schedule, stopped)) for t in traffics]
        async for command in commands:
            if command.strip() == b"stop":
                break
            await asyncio.gather(*(traffic.reconnect() for traffic in traffics))
            _say("reconnected", None)
        stopped.set()
        started = await asyncio.gather(*loads)
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)
        _say("stopped", dict(zip(namespaces, started, strict=True)))


async def _take_turns(traffics: Sequence[Traffic], seconds: float) -> None:
    for traffic in cycle(traffics):
        await asyncio.sleep(seconds)
        await traffic.reconnect()


def _tell(event: Ended | Connected) -> None:
    _say(type(event).__name__.lower(), asdict(event))


def _say(kind: str, content: object) -> None:
    print(json.dumps([kind, content]), file=_told, flush=True)


if __name__ == "__main__":
    # The SDK's own log goes to standard output.
    _told = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(main(PLAN.validate_json(Path(sys.argv[1]).read_bytes())))
