from dataclasses import replace
from pathlib import Path

from tests.api.running import Tenant
from tests.cli.command import Cli


def in_environment(cli: Cli, **changes: str) -> Cli:
    return replace(cli, env={**cli.env, **changes})


async def test_a_key_that_is_not_accepted_is_never_shown(cli: Cli) -> None:
    stranger = in_environment(cli, CONTROLPLANE_API_KEY="forged-and-secret")

    result = await stranger.run("namespace", "list")

    assert result.exit_code == 1
    assert "does not accept this API key" in result.stderr
    assert "forged-and-secret" not in result.stderr


async def test_silence_is_told_from_a_refusal(cli: Cli) -> None:
    nobody = in_environment(cli, CONTROLPLANE_ADDRESS="127.0.0.1:1")

    result = await nobody.run("namespace", "list")

    assert result.exit_code == 1
    assert "no control plane answers at 127.0.0.1:1" in result.stderr
    assert "controlplane up" in result.stderr


async def test_without_an_api_the_exit_code_is_that_of_a_usage_error(tmp_path: Path) -> None:
    lost = Cli({"CONTROLPLANE_HOME": str(tmp_path / "home")})

    result = await lost.run("namespace", "list")

    assert result.exit_code == 2
    assert "`controlplane up`" in result.stderr


async def test_the_fleet_api_is_asked_for_by_name_when_it_is_not_known(
    cli: Cli, tenant: Tenant
) -> None:
    await tenant.create("orders")
    address = ("--address", cli.env["CONTROLPLANE_ADDRESS"])

    listed = await cli.run("namespace", "list", *address)
    explained = await cli.run("namespace", "explain", "orders", *address)

    assert listed.exit_code == 0, listed.stderr
    assert explained.exit_code == 1
    assert "give --url with --address" in explained.stderr


async def test_options_come_before_the_environment(cli: Cli) -> None:
    lost = in_environment(cli, CONTROLPLANE_ADDRESS="127.0.0.1:1", CONTROLPLANE_API_KEY="wrong")

    result = await lost.run(
        *("namespace", "list", "--address", cli.env["CONTROLPLANE_ADDRESS"]),
        *("--api-key", cli.env["CONTROLPLANE_API_KEY"]),
    )

    assert result.exit_code == 0, result.stderr


async def test_another_accounts_namespace_is_as_absent_as_none(cli: Cli, tenant: Tenant) -> None:
    other = await (await tenant.api.tenant()).create("orders")

    result = await cli.run("namespace", "get", other)

    assert result.exit_code == 1
    assert "not found" in result.stderr


async def test_tls_is_spoken_where_it_is_asked_for(cli: Cli, tenant: Tenant) -> None:
    over_tls = in_environment(cli, CONTROLPLANE_ADDRESS=f"https://127.0.0.1:{tenant.api.ports.tls}")

    result = await over_tls.run("namespace", "list", "-o", "json")

    assert result.exit_code == 0, result.stderr


async def test_an_api_with_a_certificate_of_another_ca_gets_no_key(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    deceived = in_environment(
        cli,
        CONTROLPLANE_ADDRESS=f"https://127.0.0.1:{tenant.api.ports.tls}",
        CONTROLPLANE_CA_FILE=str(client_ca),
    )

    result = await deceived.run("namespace", "list")

    assert result.exit_code == 1
    assert f"not signed by {client_ca}" in result.stderr
    assert "CONTROLPLANE_CA_FILE" in result.stderr
