import shutil
import socket
from pathlib import Path

import pytest

from controlplane.local.cells import CELLS
from controlplane.local.home import Home
from controlplane.local.ports import LOOPBACK
from controlplane.local.preparation import choose, prepare


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
