import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controlplane.local.home import FleetRecord, Home
from controlplane.local.logs import NoSuchLog, ProcessLog


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.save(FleetRecord(str(tmp_path), "fleet.test"))
    home.folder("logs").joinpath("api.log").write_text("one\ntwo\nthree\n")
    return home


def test_the_last_lines_are_shown(home: Home) -> None:
    assert ProcessLog.of(home, "api").last(2) == ["two\n", "three\n"]


def test_an_unknown_process_is_answered_with_the_known_ones(home: Home) -> None:
    with pytest.raises(NoSuchLog, match="no process 'kitchen'; there are api"):
        ProcessLog.of(home, "kitchen")


async def test_following_misses_nothing_when_the_log_is_rotated(home: Home) -> None:
    log = home.logs / "api.log"
    async with following(home, "-n", "1") as lines:
        assert await read(lines, 1) == ["three\n"]
        with log.open("a") as file:
            file.write("four\n")
        assert await read(lines, 1) == ["four\n"]
        with log.open("a") as file:
            file.write("five\n")
        log.rename(home.logs / "api.log.1")
        log.write_text("six\n")
        assert await read(lines, 2) == ["five\n", "six\n"]


@asynccontextmanager
async def following(home: Home, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controlplane", "logs", "api", "--follow", *arguments),
        *("--home", str(home.path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.terminate()
        await process.wait()


async def read(lines: asyncio.StreamReader, count: int) -> list[str]:
    async with asyncio.timeout(60):
        return [(await lines.readline()).decode() for _ in range(count)]
