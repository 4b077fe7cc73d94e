import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.local.cells import CELLS
from controlplane.local.home import Home, HomeRefused
from controlplane.local.ports import LOOPBACK
from controlplane.local.preparation import choose, fetch_servers, prepare
from controlplane.local.prometheus import PROGRAM_VARIABLE, NoPrometheus, prometheus_program
from controlplane.local.servers import UnknownServer


@pytest.fixture
def home(short_path: Path) -> Home:
    home = Home(short_path / "home")
    home.prepare()
    return home


async def test_what_was_chosen_once_stays(home: Home) -> None:
    first, _ = await choose(home, running=[])
    assert await choose(home, running=[]) == (first, [])


async def test_a_port_taken_by_a_stranger_is_replaced_and_said(home: Home) -> None:
    before, _ = await choose(home, running=[])
    with socket.create_server((LOOPBACK, before.ports["dns"])):
        after, said = await choose(home, running=[])
    moved = before.ports | {"dns": after.ports["dns"]}
    assert after.ports == moved != before.ports
    assert said == [
        f"port {before.ports['dns']} of dns is taken by another process: using {after.ports['dns']}"
    ]


async def test_a_port_that_a_running_program_listens_on_stays(home: Home) -> None:
    before, _ = await choose(home, running=[])
    with socket.create_server((LOOPBACK, before.ports["dns"])):
        assert await choose(home, running=["dns"]) == (before, [])


async def test_every_cell_has_a_failover_version_of_its_own(home: Home) -> None:
    record, _ = await choose(home, running=[])
    assert record.failover_versions.keys() == {cell.id for cell in CELLS}
    assert sorted(record.failover_versions.values()) == [1, 2, 3, 4]


async def test_a_home_made_anew_takes_nothing_that_the_one_before_left_outside(home: Home) -> None:
    before, _ = await choose(home, running=[])
    shutil.rmtree(home.path)
    home.prepare()
    after, _ = await choose(home, running=[])
    assert not set(before.outside_folders) & set(after.outside_folders)


async def test_secrets_and_keys_are_made_once_and_files_are_for_their_owner_alone(
    home: Home,
) -> None:
    record, _ = await choose(home, running=[])
    try:
        first = await prepare(home, record)
        names = await first.secrets.names("")
        values = [await first.secrets.get(name) for name in names]
        files = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}

        second = await prepare(home, record)

        assert [await second.secrets.get(name) for name in names] == values
        assert {p: p.read_bytes() for p in home.path.rglob("*") if p.is_file()} == files
        assert second.programs == first.programs
        closed = [path for path in home.path.rglob("*") if path.stat().st_mode & 0o077]
        assert closed == []
        for value in filter(None, values):
            for program in first.programs:
                assert not [a for a in program.command if value.decode("latin-1") in a]
    finally:
        home.delete()


async def test_the_cells_of_a_new_home_start_with_the_version_asked_for_and_keep_it(
    home: Home,
) -> None:
    record, _ = await choose(home, running=[], server_version="1.30.2")
    assert {cell.software.server_version for cell in record.cells.values()} == {"1.30.2"}
    assert await choose(home, running=[]) == (record, [])
    with pytest.raises(HomeRefused, match=r"run Temporal 1\.30\.2 already"):
        await fetch_servers(home, "1.32.0", pytest.fail)


async def test_cells_that_had_no_version_of_their_own_have_the_one_they_ran(home: Home) -> None:
    record, _ = await choose(home, running=[])
    home.save(replace(record, cells={}, versions={**record.versions, "temporal": "1.31.2"}))
    after, _ = await choose(home, running=[])
    assert {cell.software.server_version for cell in after.cells.values()} == {"1.31.2"}


async def test_a_version_that_does_not_exist_makes_no_home(home: Home) -> None:
    with pytest.raises(UnknownServer, match=r"no Temporal server '2\.0\.0' here; there are 1\.30"):
        await fetch_servers(home, "2.0.0", lambda _: None)
    assert not home.exists


def test_a_prometheus_is_the_one_asked_for_else_on_the_path_else_the_one_before(
    tmp_path: Path,
) -> None:
    asked, on_path, before = (tmp_path / name / "prometheus" for name in ("1", "2", "3"))
    for program in (asked, on_path, before):
        program.parent.mkdir()
        program.touch(mode=0o700)
    environment = {PROGRAM_VARIABLE: str(asked), "PATH": str(on_path.parent)}
    assert prometheus_program(str(before), environment) == str(asked)
    del environment[PROGRAM_VARIABLE]
    assert prometheus_program(str(before), environment) == str(on_path)
    on_path.unlink()
    assert prometheus_program(str(before), environment) == str(before)
    before.unlink()
    assert prometheus_program(str(before), environment) == ""
    with pytest.raises(NoPrometheus, match="names 'nothing', which is no program"):
        prometheus_program("", {PROGRAM_VARIABLE: "nothing"})
