from pathlib import Path

import pytest

from controlplane.cli.connection import resolve
from controlplane.cli.failures import UsageError

API = {
    "CONTROLPLANE_ADDRESS": "127.0.0.1:7000",
    "CONTROLPLANE_URL": "http://127.0.0.1:7001",
    "CONTROLPLANE_API_KEY": "from-env",
    "CONTROLPLANE_CA_FILE": "/home/ca.pem",
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment that names no API, and a home without a fleet."""
    return {"CONTROLPLANE_HOME": str(tmp_path / "home")}


async def test_the_environment_names_the_api(env: dict[str, str]) -> None:
    connection = await resolve(None, None, None, env=env | API)

    assert connection.address == "127.0.0.1:7000"
    assert connection.url == "http://127.0.0.1:7001"
    assert connection.api_key == "from-env"
    assert connection.ca_file == Path("/home/ca.pem")


async def test_options_come_before_the_environment(env: dict[str, str]) -> None:
    options = ("cp.example.com:443", "https://cp.example.com", "from-option")

    connection = await resolve(*options, env=env | API)

    assert (connection.address, connection.url, connection.api_key) == options


async def test_another_address_does_not_use_the_environments_fleet_api(env: dict[str, str]) -> None:
    assert (await resolve("cp.example.com:443", None, "key", env=env | API)).url is None


async def test_without_an_api_people_are_told_how_to_get_one(env: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"CONTROLPLANE_ADDRESS is not set.*`controlplane up`"):
        await resolve(None, None, None, env=env)


async def test_without_a_key_people_are_told_how_to_get_one(env: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"CONTROLPLANE_API_KEY is not set.*controlplane env"):
        await resolve("127.0.0.1:7000", None, None, env=env)


@pytest.mark.parametrize(
    ("address", "tls"),
    [
        ("127.0.0.1:7000", False),
        ("localhost:7000", False),
        ("[::1]:7000", False),
        ("https://127.0.0.1:7000", True),
        ("10.0.0.1:7000", True),
        ("cp.example.com:443", True),
        ("127.0.0.1.example.com:443", True),
    ],
)
async def test_a_key_crosses_no_network_without_tls(
    env: dict[str, str], address: str, tls: bool
) -> None:
    assert (await resolve(address, None, "key", env=env)).tls is tls


async def test_a_connection_does_not_show_its_key(env: dict[str, str]) -> None:
    assert "from-env" not in repr(await resolve(None, None, None, env=env | API))
