from pathlib import Path

import pytest

from cells.release import ConfigValue
from controlplane.local.dynamic_configuration import unusable
from controlplane.local.home import Home
from controlplane.local.servers import Servers, known_versions
from controlplane.local.temporal_server import CELL_CONFIGURATION, ENGINE_CONFIGURATION


@pytest.fixture(scope="module", params=known_versions())
async def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server in each version that there is."""
    version: str = request.param
    home = Home(tmp_path_factory.mktemp("servers"))
    return await Servers.of(home).fetch(version)


async def test_every_server_knows_the_configuration_of_the_cells(program: Path) -> None:
    assert await unusable(program, {**CELL_CONFIGURATION, **ENGINE_CONFIGURATION}) == []


@pytest.mark.parametrize(
    ("configuration", "problems"),
    [
        ({}, []),
        ({"frontend.rps": 100, "History.RPS": 7, "frontend.shutdownDrainDuration": "1s"}, []),
        (
            {"frontend.rps": 100, "frontend.rsp": 100},
            ["the server knows no dynamic configuration 'frontend.rsp'"],
        ),
        (
            {"frontend.rps": "many", "history.rps": True},
            [
                "the server does not take \"many\" for 'frontend.rps': value type is not int",
                "the server does not take true for 'history.rps': value type is not int",
            ],
        ),
    ],
    ids=["nothing", "right", "unknown key", "wrong values"],
)
async def test_what_a_server_cannot_use_is_said(
    program: Path, configuration: dict[str, ConfigValue], problems: list[str]
) -> None:
    assert await unusable(program, configuration) == problems


async def test_a_server_that_would_not_start_is_not_the_configurations_fault_yet(
    program: Path,
) -> None:
    assert await unusable(program, {"frontend.rps": 0}) == []
