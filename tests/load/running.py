"""A load that runs: started, told to reconnect, counted, stopped."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from tests.eventually import eventually
from tests.load.outcomes import Connected, Count, Ended, Schedule, count
from tests.load.process import PLAN, Plan
from tests.load.traffic import GIVE_UP_SECONDS, Entrance

START_SECONDS = 60.0
_SCHEDULE = TypeAdapter(Schedule)
_ENDED = TypeAdapter(Ended)
_CONNECTED = TypeAdapter(Connected)


@dataclass
class RunningLoad:
    process: asyncio.subprocess.Process
    entrances: Sequence[Entrance]
    schedule: Schedule
    ended: dict[tuple[str, int], Ended] = field(default_factory=dict)
    connected: list[Connected] = field(default_factory=list)
    started: dict[str, int] = field(default_factory=dict)
    """How many workflows each namespace was given; empty until the load has stopped."""
    _reconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def reconnect(self) -> None:
        """Let every namespace connect anew with the credentials in its files."""
        self._reconnected.clear()
        await self._command("reconnect")
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await self._reconnected.wait()

    async def count(self, begin: float, end: float) -> Count:
        """Count what was due between two times, once all of it has come to an end."""

        async def all_ended() -> bool:
            return self.schedule.between(begin, end) <= self.ended.keys()

        await eventually(all_ended, within=end - time.monotonic() + GIVE_UP_SECONDS + 10)
        return count(self.schedule, self.ended, self.connected, begin, end)

    async def stop(self) -> None:
        """Start no more workflows, and wait for those under way."""
        await self._command("stop")
        async with asyncio.timeout(2 * GIVE_UP_SECONDS):
            await self.process.wait()

    async def listen(self) -> None:
        """Take in what the process tells, until its end."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            kind, content = json.loads(line)
            match kind:
                case "ended":
                    ended = _ENDED.validate_python(content)
                    self.ended[ended.namespace, ended.number] = ended
                case "connected":
                    self.connected.append(_CONNECTED.validate_python(content))
                case "reconnected":
                    self._reconnected.set()
                case "stopped":
                    self.started = content
                case _:
                    raise ValueError(f"the load told something unknown: {kind}")

    async def _command(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())
        await self.process.stdin.drain()


@asynccontextmanager
async def running_load(folder: Path, plan: Plan) -> AsyncIterator[RunningLoad]:
    """Load namespaces from a process of its own; on leaving, all it started has ended."""
    plan_file = folder / "plan.json"
    plan_file.write_bytes(PLAN.dump_json(plan))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.load.process", str(plan_file)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            first = await process.stdout.readline()
        assert first, "the load did not begin: see its errors above"
        load = RunningLoad(process, plan.entrances, _SCHEDULE.validate_python(json.loads(first)[1]))
        listening = asyncio.create_task(load.listen())
        try:
            yield load
            if process.returncode is None:
                await load.stop()
        finally:
            if process.returncode is None:
                process.kill()
            await listening
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
