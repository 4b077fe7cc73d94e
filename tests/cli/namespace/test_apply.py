import asyncio
import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.api.running import Tenant
from tests.cli.command import Cli
from tests.cli.entity import settled
from tests.store.views import REGION


@pytest.fixture
def file(tmp_path: Path, client_ca: Path) -> Path:
    """A file that declares the namespace `orders`."""
    file = tmp_path / "orders.yaml"
    file.write_text(
        f"name: orders\nregion: {REGION}\nretention: 7d\nclientCaFile: {client_ca.name}\n"
    )
    return file


def changed(file: Path, **fields: object) -> Path:
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **fields}))
    return file


def then(file: Path, document: str) -> Path:
    file.write_text(f"{file.read_text()}---\n{document}")
    return file


async def test_what_is_not_there_is_created_and_then_there_is_nothing_to_change(
    cli: Cli, tenant: Tenant, file: Path
) -> None:
    created = await settled(cli, tenant, "namespace", "apply", "-f", file, "--yes")
    again = await cli.run("namespace", "apply", "-f", file, "--dry-run", "--exit-code")

    assert created.exit_code == 0, created.stderr
    assert "orders: to be created" in created.stdout
    assert f"Creating namespace orders.{tenant.account}" in created.stderr
    assert (again.exit_code, again.stdout) == (
        0,
        f"orders.{tenant.account}: nothing to change\n",
    )


async def test_what_differs_is_shown_and_changed_and_nothing_else(
    cli: Cli, tenant: Tenant, file: Path
) -> None:
    await settled(cli, tenant, "namespace", "apply", "-f", file, "--yes")
    changed(file, retention="60d", tags={"team": "payments"})

    applied = await settled(
        cli, tenant, "namespace", "apply", "-f", file, "--yes", "-o", "json", operations=2
    )

    assert applied.exit_code == 0, applied.stderr
    [namespace] = json.loads(applied.stdout)["namespaces"]
    assert namespace["action"] == "update"
    assert namespace["changes"] == [
        {"what": "retentionDays", "now": "7", "wanted": "60"},
        {"what": "tags.team", "now": "", "wanted": "payments"},
    ]
    state = tenant.api.writer.namespaces[f"orders.{tenant.account}"]
    assert [operation.id for operation in state.operations[1:]] == namespace["operations"]
    assert state.tags == {"team": "payments"}


async def test_a_dry_run_shows_the_difference_and_changes_nothing(
    cli: Cli, tenant: Tenant, file: Path
) -> None:
    await settled(cli, tenant, "namespace", "apply", "-f", file, "--yes")
    asked = list(tenant.api.writer.asked)
    changed(file, retention="60d")

    plain = await cli.run("namespace", "apply", "-f", file, "--dry-run")
    told = await cli.run("namespace", "apply", "-f", file, "--dry-run", "--exit-code")

    assert (plain.exit_code, told.exit_code) == (0, 2)
    assert plain.stdout.splitlines()[-1].split() == ["retentionDays", "7", "60"]
    assert tenant.api.writer.asked == asked


async def test_without_a_yes_nothing_is_sent(cli: Cli, tenant: Tenant, file: Path) -> None:
    result = await cli.run("namespace", "apply", "-f", file)

    assert result.exit_code == 2
    assert "confirm it with --yes" in result.stderr
    assert f"orders.{tenant.account}" not in tenant.api.writer.namespaces


async def test_what_get_prints_is_applied_as_it_is(
    cli: Cli, tenant: Tenant, file: Path, tmp_path: Path
) -> None:
    changed(file, tags={"team": "payments"}, searchAttributes={"Customer": "KEYWORD"})
    await settled(cli, tenant, "namespace", "apply", "-f", file, "--yes")
    printed = tmp_path / "printed.yaml"
    printed.write_text((await cli.run("namespace", "get", "orders", "-o", "yaml")).stdout)

    result = await cli.run("namespace", "apply", "-f", printed, "--dry-run", "--exit-code")

    assert result.exit_code == 0, result.stdout + result.stderr
    assert "nothing to change" in result.stdout


async def test_everything_is_read_before_anything_is_sent(
    cli: Cli, tenant: Tenant, file: Path
) -> None:
    spoilt = then(file, "name: billing\nretenion: 7d\n")

    result = await cli.run("namespace", "apply", "-f", spoilt, "--yes")

    assert result.exit_code == 2
    assert "document 2: retenion means nothing. Did you mean retention?" in result.stderr
    assert f"orders.{tenant.account}" not in tenant.api.writer.namespaces


async def test_a_file_is_created_from_and_names_no_option_beside_it(
    cli: Cli, tenant: Tenant, file: Path
) -> None:
    refused = await cli.run("namespace", "create", "-f", file, "--retention-days", "3")
    created = await settled(cli, tenant, "namespace", "create", "-f", file)

    assert refused.exit_code == 2
    assert "leave out NAME and its options" in refused.stderr
    assert created.exit_code == 0, created.stderr
    assert "State              ACTIVE" in created.stdout


async def test_a_spec_is_read_from_standard_input(cli: Cli, file: Path) -> None:
    script = f'"$0" -m controlplane namespace apply -f - --dry-run -o json < {file}'

    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        script,
        sys.executable,
        stdout=asyncio.subprocess.PIPE,
        cwd=file.parent,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd()), **cli.env},
    )
    stdout, _ = await process.communicate()

    assert process.returncode == 0
    assert json.loads(stdout)["namespaces"][0]["action"] == "create"
