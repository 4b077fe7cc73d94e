import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cells.release import Software
from controlplane.local.file_lock import LockLost
from controlplane.local.home import CellRecord, Change, FleetRecord, Home, HomeRefused

RECORD = FleetRecord("", "fleet.test", "abc123", {"api": 20_000}, {"cell": 1}, {"temporal": "1.32"})


def made(path: Path, *outside: Path) -> Home:
    home = Home(path)
    home.prepare()
    home.save(replace(RECORD, home=str(path), outside_folders=tuple(map(str, outside))))
    return home


def test_the_option_comes_before_the_variable_and_that_before_the_default(short_path: Path) -> None:
    variable = {"CONTROLPLANE_HOME": str(short_path / "variable")}
    assert Home.choose(short_path / "option", variable).path == short_path / "option"
    assert Home.choose(None, variable).path == short_path / "variable"
    assert Home.choose(None, {}).path == (Path.home() / ".controlplane").resolve()


def test_a_path_that_configuration_files_cannot_carry_is_refused(short_path: Path) -> None:
    with pytest.raises(HomeRefused, match="may not contain"):
        Home.choose(short_path / 'quote"d', {})


def test_a_new_home_is_closed_to_everybody_else(short_path: Path) -> None:
    home = made(short_path / "home")
    home.folder("cells", "one")
    modes = {path.stat().st_mode & 0o777 for path in [home.path, *home.path.glob("**/")]}
    assert modes == {0o700}
    assert home.record_file.stat().st_mode & 0o777 == 0o600


def test_what_was_recorded_is_read_back(short_path: Path) -> None:
    home = made(short_path / "home", short_path / "outside")
    assert home.load().ports == {"api": 20_000}
    assert home.load().outside_folders == (str(short_path / "outside"),)


def test_a_folder_that_holds_something_else_is_not_made_a_home(short_path: Path) -> None:
    (short_path / "thesis.tex").touch()
    with pytest.raises(HomeRefused, match="not a fleet"):
        Home(short_path).prepare()


def test_a_folder_that_others_can_write_to_is_not_made_a_home(short_path: Path) -> None:
    short_path.chmod(0o777)
    with pytest.raises(HomeRefused, match="chmod 700"):
        Home(short_path).prepare()
    assert short_path.stat().st_mode & 0o777 == 0o777


def test_a_home_that_was_moved_says_where_it_belongs(short_path: Path) -> None:
    home = made(short_path / "home")
    moved = home.path.rename(short_path / "moved")
    with pytest.raises(HomeRefused, match=f"was made in {home.path}"):
        Home(moved).load()


def test_a_damaged_record_is_named(short_path: Path) -> None:
    home = made(short_path / "home")
    home.record_file.write_text("{")
    with pytest.raises(HomeRefused, match=r"fleet\.json is damaged"):
        home.load()


def test_sockets_of_a_home_with_a_long_path_lie_in_a_short_folder_of_ours_alone(
    short_path: Path,
) -> None:
    home = made(short_path / ("long" * 30))
    try:
        assert home.run.stat().st_mode & 0o777 == 0o700
        assert len(str(home.run / "gatekeeper-of-a-cell-in-gcp-us-central1.sock")) < 100
        assert home.run != made(short_path / ("longer" * 20)).run
        assert Home(Path("/srv/fleet")).run == Path("/srv/fleet/run")
    finally:
        home.delete()
        Home(short_path / ("longer" * 20)).delete()
    assert not home.run.exists()


def test_a_run_folder_that_somebody_else_could_enter_is_refused(short_path: Path) -> None:
    home = Home(short_path / ("long" * 31))
    home.run.mkdir()
    home.run.chmod(0o755)
    try:
        with pytest.raises(HomeRefused, match="not a folder of ours alone"):
            home.prepare()
    finally:
        home.run.rmdir()


def test_deleting_removes_the_home_and_what_it_made_outside(short_path: Path) -> None:
    outside = short_path / "outside"
    (outside / "data").mkdir(parents=True)
    home = made(short_path / "home", outside)
    home.folder("cells", "one").joinpath("temporal.db").touch()
    home.delete()
    assert list(short_path.iterdir()) == []


def test_a_folder_that_is_no_home_is_not_deleted(short_path: Path) -> None:
    (short_path / "thesis.tex").touch()
    with pytest.raises(HomeRefused, match="there is no fleet"):
        Home(short_path).delete()
    assert (short_path / "thesis.tex").exists()


async def test_who_waited_for_a_home_that_was_deleted_is_told(short_path: Path) -> None:
    home = made(short_path / "home")
    told = asyncio.Event()

    async def second() -> None:
        async with home.locked(told.set):
            pytest.fail("the home is gone")

    async with home.locked(told.set):
        waiting = asyncio.create_task(second())
        await told.wait()
        home.delete()
    with pytest.raises(LockLost, match="deleted meanwhile"):
        await waiting


async def test_who_finds_the_home_locked_is_told_and_waits(short_path: Path) -> None:
    home = made(short_path / "home")
    events: list[str] = []
    told = asyncio.Event()

    async def second() -> None:
        async with home.locked(told.set):
            events.append("second")

    async with home.locked(lambda: events.append("unexpected")):
        waiting = asyncio.create_task(second())
        await told.wait()
        events.append("first")
    await waiting
    assert events == ["first", "second"]


RECORDING = """
import asyncio, sys
from pathlib import Path
from cells.release import Software
from controlplane.local.home import CellRecord, Home

async def main(home, cell):
    print("ready", flush=True)
    sys.stdin.readline()
    for generation in range(1, 101):
        await home.record_cell(cell, CellRecord(Software("1.32.0"), generation))

asyncio.run(main(Home(Path(sys.argv[1])), sys.argv[2]))
"""


async def test_processes_that_record_different_cells_lose_nothing(short_path: Path) -> None:
    home = made(short_path / "home")
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RECORDING, str(home.path), cell),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for cell in ("one", "other")
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    assert [await process.wait() for process in processes] == [0, 0]
    recorded = {cell: found.generation for cell, found in home.load().cells.items()}
    assert recorded == {"one": 100, "other": 100}


def test_everything_that_is_recorded_of_a_cell_is_read_again(short_path: Path) -> None:
    home = made(short_path / "home")
    software = Software("1.32.0", "0.1.0+2", {"a": 1, "b": True, "c": 0.5, "d": "x"})
    found = CellRecord(
        software, 7, (Software("1.31.2"),), Change("2026-01-01T00:00:00+00:00"), 1.5, {"main": "1"}
    )
    home.save(replace(home.load(), cells={"one": found}))
    read = home.load().cells["one"]
    assert read == found
    assert {type(value) for value in read.software.configuration.values()} == {
        int,
        bool,
        float,
        str,
    }


def test_a_record_from_before_cells_had_their_own_software_is_read(short_path: Path) -> None:
    home = made(short_path / "home")
    written = json.loads(home.record_file.read_bytes())
    del written["cells"], written["prometheus_program"]
    home.record_file.write_text(json.dumps(written))
    assert home.load() == replace(RECORD, home=str(home.path))
