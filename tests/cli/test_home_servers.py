"""Which servers `controlplane release create` fetches, and where they are then."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from controlplane.local.home import FleetRecord, Home
from controlplane.local.servers import Servers
from controlplane.local.temporal_server import bundled_version
from tests.cli.command import Cli


@pytest.fixture
def home(cli: Cli, tmp_path: Path) -> Home:
    """The home of a fleet whose API is the one that is called."""
    home = Home(tmp_path / "home")
    home.prepare()
    port = int(cli.env["CONTROLPLANE_ADDRESS"].rpartition(":")[2])
    home.save(FleetRecord(str(home.path), "fleet.test", ports={"api": port, "api-tls": port + 1}))
    return home


@pytest.fixture
def at_home(cli: Cli, home: Home, tmp_path: Path) -> Cli:
    return Cli(
        {
            **cli.env,
            "CONTROLPLANE_HOME": str(home.path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
    )


def program(home: Home, version: str) -> Path:
    return Servers(home, home.path).program(version)


async def test_the_server_of_a_release_is_fetched_into_the_home_of_the_fleet(
    at_home: Cli, home: Home
) -> None:
    version = await bundled_version()
    name = f"r-{uuid4().hex[:8]}"

    created = await at_home.run(
        "release", "create", name, "--server-version", version, "-o", "json"
    )

    assert created.exit_code == 0, created.stderr
    assert f"✓ Temporal server {version} is in {home.path}" in created.stderr
    assert program(home, version).exists()
    artifacts = json.loads(created.stdout)["release"]["artifacts"]
    assert all(len(digest) == 64 for digest in artifacts.values())


async def test_a_release_whose_server_cannot_be_had_is_not_created(at_home: Cli) -> None:
    name = f"r-{uuid4().hex[:8]}"

    created = await at_home.run("release", "create", name, "--server-version", "1.99.0")
    shown = await at_home.run("release", "show", name)

    assert created.exit_code == 1
    assert "there is no Temporal server '1.99.0' here" in created.stderr
    assert f"release {name!r} not found" in shown.stderr


async def test_for_the_api_of_another_fleet_nothing_is_fetched(at_home: Cli, home: Home) -> None:
    home.save(FleetRecord(str(home.path), "fleet.test", ports={"api": 1, "api-tls": 2}))

    created = await at_home.run(
        *("release", "create", f"r-{uuid4().hex[:8]}", "--server-version", "1.99.0", "-o", "json")
    )

    assert created.exit_code == 0, created.stderr
    assert json.loads(created.stdout)["release"]["artifacts"] == {}
