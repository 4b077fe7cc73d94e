"""The audit log as commands show it, and what an export proves without anybody's help."""

import json
from pathlib import Path

import pytest

from controlplane.store.audit_entries import canonical, exported, hash_of
from tests.api.running import Tenant
from tests.cli.command import Cli


@pytest.fixture
async def export(cli: Cli, tenant: Tenant, tmp_path: Path) -> Path:
    """An export of a log with a few records."""
    for name in ("orders", "billing", "shipping"):
        await tenant.create(name)
    exported = await cli.run("audit", "export")
    assert exported.exit_code == 0, exported.stderr
    file = tmp_path / "audit.ndjson"
    file.write_text(exported.stdout)
    return file


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def rewritten(file: Path, lines: list[str]) -> Path:
    file.write_text("\n".join(lines))
    return file


@pytest.mark.usefixtures("export")
async def test_who_did_what_is_listed_latest_last(cli: Cli, tenant: Tenant) -> None:
    listed = await cli.run("audit", "list", "--last", "2")

    rows = listed.stdout.splitlines()[2:]
    assert len(rows) == 2
    assert tenant.owner.email in rows[-1]
    assert "CreateNamespace" in rows[-1]
    assert f"shipping.{tenant.account}" in rows[-1]


async def test_an_export_is_proven_whole_with_the_hash_it_ends_in(cli: Cli, export: Path) -> None:
    people = await cli.run("audit", "verify-chain", export)
    programs = json.loads((await cli.run("audit", "verify-chain", export, "-o", "json")).stdout)

    count, last = len(lines(export)), json.loads(lines(export)[-1])["hash"]
    assert people.exit_code == 0, people.stderr
    assert f"{count} records, 1 to {count}, are as they were written" in people.stdout
    assert programs == {"records": count, "first": 1, "last": count, "last_hash": last}


async def test_a_part_of_a_log_is_proven_from_where_it_begins(cli: Cli, export: Path) -> None:
    part = rewritten(export, lines(export)[1:])

    checked = await cli.run("audit", "verify-chain", part, "-o", "json")

    assert json.loads(checked.stdout)["first"] == 2


@pytest.mark.parametrize("case", ["changed", "removed", "exchanged", "replaced", "no record"])
async def test_whatever_was_done_to_an_export_shows(cli: Cli, export: Path, case: str) -> None:
    first, second, *rest = lines(export)
    forged = {
        "changed": [first, second.replace("billing", "biIling"), *rest],
        "removed": [first, *rest],
        "exchanged": [second, first, *rest],
        "replaced": [first, second.replace('"hash":"', '"hash":"0'), *rest],
        "no record": [first, '{"hash":""}', *rest],
    }[case]

    checked = await cli.run("audit", "verify-chain", rewritten(export, forged))

    assert checked.exit_code == 1
    assert f"{export}: line 2" in checked.stderr


async def test_a_record_that_was_replaced_hash_and_all_does_not_lead_to_the_next(
    cli: Cli, export: Path
) -> None:
    first, second, *rest = lines(export)
    fields = json.loads(second)
    del fields["hash"]
    text = canonical({**fields, "emitted_at": "2026-01-01T00:00:00Z"})
    forged = [first, exported(text, hash_of(text)), *rest]

    checked = await cli.run("audit", "verify-chain", rewritten(export, forged))

    assert checked.exit_code == 1
    assert f"{export}: line 3 does not follow record 2" in checked.stderr


async def test_a_log_that_was_cut_off_lacks_the_hash_that_was_kept(cli: Cli, export: Path) -> None:
    kept = json.loads(lines(export)[-1])["hash"]
    whole = await cli.run("audit", "verify-chain", export, "--contains", kept)

    cut = await cli.run(
        "audit", "verify-chain", rewritten(export, lines(export)[:-1]), "--contains", kept
    )

    assert (whole.exit_code, cut.exit_code) == (0, 1)
    assert "does not contain the record of hash" in cut.stderr


@pytest.mark.usefixtures("export")
async def test_a_time_of_which_nothing_is_recorded_is_empty(cli: Cli) -> None:
    listed = await cli.run("audit", "list", "--to", "2020-01-01")
    exported = await cli.run("audit", "export", "--to", "2020-01-01")

    assert (listed.exit_code, listed.stdout, exported.stdout) == (0, "", "")
    assert "Nothing is recorded" in listed.stderr
