"""What the shell offers after TAB, by the protocol of Typer's completion scripts."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from pathlib import Path

import pytest

from cells.life.types import Phase as LifePhase
from controlplane.store.cell_lives import CellLives
from tests.api.running import Tenant
from tests.cli.command import Cli
from tests.store.life_views import life_view
from tests.store.views import REGION

CONTROLPLANE = Path(sys.executable).parent / "controlplane"


async def run(env: Mapping[str, str], *arguments: str) -> str:
    """Run the command by its name, which its completion goes by, and return its stdout."""
    process = await asyncio.create_subprocess_exec(
        CONTROLPLANE, *arguments, stdout=PIPE, stderr=PIPE, env={"PATH": "/usr/bin:/bin", **env}
    )
    stdout, stderr = await process.communicate()
    assert (process.returncode, stderr.decode()) == (0, "")
    return stdout.decode()


async def offered(cli: Cli, line: str) -> list[str]:
    """Return what bash offers at the end of the line."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    shown = await run({**cli.env, **asked, "_CONTROLPLANE_COMPLETE": "complete_bash"})
    return shown.split()


async def test_a_group_that_is_imported_late_completes_its_commands_and_options(cli: Cli) -> None:
    assert await offered(cli, "controlplane namespace cer") == ["cert"]
    assert await offered(cli, "controlplane namespace cert is") == ["issue"]
    assert await offered(cli, "controlplane namespace create --ca") == ["--ca-file"]


async def test_namespaces_are_offered_by_short_name_and_after_a_dot_by_id(
    cli: Cli, tenant: Tenant
) -> None:
    for name in ("orders", "orders-old", "billing"):
        await tenant.create(name)

    assert await offered(cli, "controlplane namespace get ord") == ["orders", "orders-old"]
    assert await offered(cli, f"controlplane namespace get orders.{tenant.account[:2]}") == [
        f"orders.{tenant.account}"
    ]


async def test_zsh_and_fish_are_told_the_region_of_a_namespace_too(
    cli: Cli, tenant: Tenant
) -> None:
    await tenant.create("orders")
    line = {"_TYPER_COMPLETE_ARGS": "controlplane namespace get ord"}

    zsh = await run({**cli.env, **line, "_CONTROLPLANE_COMPLETE": "complete_zsh"})
    fish = {"_CONTROLPLANE_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}

    assert f'"orders":"{REGION}"' in zsh
    assert await run({**cli.env, **line, **fish}) == f"orders\t{REGION}\n"


async def test_regions_and_the_names_of_machines_are_offered_too(cli: Cli) -> None:
    created = await cli.run("service-account", "create", "deployer", "--role", "read")
    assert created.exit_code == 0, created.stderr

    assert REGION in await offered(cli, "controlplane namespace create orders --region aws")
    assert await offered(cli, "controlplane apikey create --service-account d") == ["deployer"]


async def test_options_before_the_cursor_say_which_api_to_ask(cli: Cli, tenant: Tenant) -> None:
    await tenant.create("orders")
    elsewhere = Cli({"CONTROLPLANE_CA_FILE": cli.env["CONTROLPLANE_CA_FILE"]})
    named = (
        f"--address {cli.env['CONTROLPLANE_ADDRESS']} --url {cli.env['CONTROLPLANE_URL']} "
        f"--api-key {cli.env['CONTROLPLANE_API_KEY']}"
    )

    assert await offered(elsewhere, f"controlplane namespace get {named} o") == ["orders"]


@pytest.mark.parametrize(
    "broken",
    [
        {"CONTROLPLANE_URL": "http://127.0.0.1:1"},
        {"CONTROLPLANE_API_KEY": "forged"},
        {"CONTROLPLANE_ADDRESS": "", "CONTROLPLANE_HOME": "/nonexistent"},
    ],
    ids=["nobody answers", "the key is refused", "there is no API"],
)
async def test_whatever_is_wrong_nothing_is_said_into_the_line_being_typed(
    cli: Cli, broken: dict[str, str]
) -> None:
    assert await offered(Cli({**cli.env, **broken}), "controlplane namespace get o") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_the_script_of_each_shell_is_shown(shell: str) -> None:
    named = await run({}, "--show-completion", shell)
    ones_own = await run({"SHELL": f"/usr/bin/{shell}"}, "--show-completion")

    assert "_CONTROLPLANE_COMPLETE" in named
    assert named == ones_own


async def test_installing_completion_leaves_a_script_for_the_shell(tmp_path: Path) -> None:
    shown = await run({"HOME": str(tmp_path)}, "--install-completion", "fish")

    script = tmp_path / ".config/fish/completions/controlplane.fish"
    assert str(script) in shown
    assert "_CONTROLPLANE_COMPLETE=complete_fish" in script.read_text()


async def test_a_cell_that_never_came_to_be_is_offered_to_who_abandons_it(
    cli: Cli, tenant: Tenant
) -> None:
    failed = life_view("gcp-us-east4-c7", phase=LifePhase.FAILED)
    await CellLives(tenant.api.pool).publish_life(failed)

    assert await offered(cli, "controlplane cell abandon gcp-us-east4") == ["gcp-us-east4-c7"]
    assert await offered(cli, "controlplane cell cordon gcp-us-east4") == []
