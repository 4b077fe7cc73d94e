import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.local.file_lock import LockLost
from controlplane.local.home import FleetRecord, Home, HomeRefused

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
