"""API keys and service accounts, and whom a key speaks for."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.running import Tenant
from tests.cli.command import Cli, Finished


def succeeded(result: Finished) -> str:
    assert result.exit_code == 0, result.stderr
    return result.stdout


def speaking_for(cli: Cli, token: str) -> Cli:
    return replace(cli, env={**cli.env, "CONTROLPLANE_API_KEY": token})


async def test_a_key_says_whom_it_speaks_for(cli: Cli, tenant: Tenant) -> None:
    people = succeeded(await cli.run("whoami"))
    programs = json.loads(succeeded(await cli.run("whoami", "-o", "json")))

    assert f"User         {tenant.owner.email}" in people
    assert "May          account owner\n" in people
    assert f"Account      {tenant.account}\n" in people
    assert programs["user"]["spec"]["email"] == tenant.owner.email


async def test_a_new_key_is_shown_once_alone_on_stdout_and_works(cli: Cli) -> None:
    token = succeeded(await cli.run("apikey", "create", "--name", "laptop"))

    assert len(token.splitlines()) == 1
    mine = succeeded(await speaking_for(cli, token.strip()).run("whoami"))
    assert "API key      laptop (" in mine
    assert token.strip() not in succeeded(await cli.run("apikey", "list", "-o", "json"))


async def test_a_key_can_be_written_to_a_file_and_is_shown_nowhere_then(
    cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "ci.key"

    created = await cli.run("apikey", "create", "--name", "ci", "--out", file, "-o", "json")

    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token not in succeeded(created) + created.stderr
    assert "ci (" in succeeded(await speaking_for(cli, token).run("whoami"))
    again = await cli.run("apikey", "create", "--name", "ci", "--out", file)
    assert again.exit_code == 2
    assert f"{file} exists" in again.stderr


async def test_a_request_for_a_key_can_be_repeated_and_makes_one_key(cli: Cli) -> None:
    once = ("--name", "ci", "--operation-id", "op-key", "--expires-at", "2027-01-01T00:00:00")

    tokens = [succeeded(await cli.run("apikey", "create", *once)).strip() for _ in range(2)]

    keys = json.loads(succeeded(await cli.run("apikey", "list", "-o", "json")))["apiKeys"]
    assert [key["spec"]["displayName"] for key in keys].count("ci") == 1
    for token in tokens:
        assert "API key      ci (" in succeeded(await speaking_for(cli, token).run("whoami"))


async def test_a_key_is_disabled_enabled_and_deleted(cli: Cli) -> None:
    created = json.loads(succeeded(await cli.run("apikey", "create", "--name", "x", "-o", "json")))
    key, its = created["keyId"], speaking_for(cli, created["token"])

    succeeded(await cli.run("apikey", "disable", key))
    assert (await its.run("whoami")).exit_code == 1
    again = await cli.run("apikey", "disable", key)
    assert (again.exit_code, f"Nothing to change: key {key} is disabled" in again.stderr) == (
        0,
        True,
    )

    succeeded(await cli.run("apikey", "enable", key))
    succeeded(await its.run("whoami"))
    assert "State        valid\n" in succeeded(await cli.run("apikey", "get", key))

    assert (await cli.run("apikey", "delete", key)).exit_code == 2
    succeeded(await cli.run("apikey", "delete", key, "--yes"))
    assert (await its.run("whoami")).exit_code == 1
    assert (await cli.run("apikey", "get", key)).exit_code == 1


async def test_a_service_account_may_what_it_was_given_and_goes_by_its_name(
    cli: Cli, tenant: Tenant
) -> None:
    orders = await tenant.create("orders")
    machines = ("service-account",)
    created = await cli.run(
        *machines, "create", "deployer", "--role", "read", "--namespace", "orders=write"
    )
    assert "--service-account deployer" in created.stderr
    machine = succeeded(created).strip()
    token = succeeded(
        await cli.run("apikey", "create", "--name", "ci", "--service-account", "deployer")
    )

    row = succeeded(await cli.run(*machines, "list")).splitlines()[-1]
    assert row.split() == [machine, "deployer", *f"account read, write of {orders}".split()]
    mine = succeeded(await speaking_for(cli, token.strip()).run("whoami"))
    assert f"Service account  deployer ({machine})" in mine

    succeeded(await cli.run(*machines, "set-access", "deployer", "orders", "none"))
    succeeded(await cli.run(*machines, "update", "deployer", "--description", "deploys"))
    shown = succeeded(await cli.run(*machines, "get", machine))
    assert "May              account read\n" in shown
    assert "Description      deploys\n" in shown

    succeeded(await cli.run(*machines, "delete", "deployer", "--yes"))
    assert (await speaking_for(cli, token.strip()).run("whoami")).exit_code == 1
    gone = await cli.run(*machines, "get", "deployer")
    assert "there is no service account deployer" in gone.stderr


async def test_access_that_is_so_already_is_nothing_to_change_and_a_success(
    cli: Cli, tenant: Tenant
) -> None:
    await tenant.create("orders")
    succeeded(
        await cli.run(
            "service-account", "create", "deployer", "--role", "read", "--namespace", "orders=read"
        )
    )

    again = await cli.run("service-account", "set-access", "deployer", "orders", "read")

    assert again.exit_code == 0, again.stderr
    assert "Nothing to change" in again.stderr


async def test_a_service_account_of_one_namespace_can_be_given_no_other(
    cli: Cli, tenant: Tenant
) -> None:
    orders = await tenant.create("orders")
    succeeded(await cli.run("service-account", "create", "worker", "--only", "orders=write"))

    shown = succeeded(await cli.run("service-account", "get", "worker"))
    widened = await cli.run("service-account", "update", "worker", "--role", "admin")

    assert f"May              write of {orders} alone\n" in shown
    assert widened.exit_code == 2
    assert f"can only reach {orders}" in widened.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "x"), "give it a --role in the account"),
        (("create", "x", "--role", "king"), "there is no role 'king'; there are owner, admin"),
        (
            ("create", "x", "--role", "read", "--namespace", "orders"),
            "'orders' is not NAMESPACE=permission",
        ),
        (("create", "x", "--only", "a=write", "--role", "read"), "leave out --role"),
        (("set-access", "x", "orders", "own"), "there is no permission 'own'; there are admin"),
        (("update", "x"), "what is to change?"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    cli: Cli, arguments: tuple[str, ...], says: str
) -> None:
    result = await cli.run("service-account", *arguments)

    assert result.exit_code == 2
    assert says in result.stderr
