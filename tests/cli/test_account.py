import json

import pytest

from tests.api.running import Tenant
from tests.cli.command import Cli
from tests.store.views import REGION


async def test_the_account_and_its_regions_are_shown(cli: Cli, tenant: Tenant) -> None:
    account = await cli.run("account", "get")
    regions = await cli.run("region", "list")

    assert f"Account  {tenant.account}\n" in account.stdout
    assert REGION in regions.stdout.split()


async def test_a_limit_is_set_and_brought_back(cli: Cli) -> None:
    limits = ("account", "limits")

    raised = await cli.run(*limits, "set", "namespaces=50", "tags_per_namespace=3")
    back = await cli.run(*limits, "set", "namespaces=default", "-o", "json")
    listed = await cli.run(*limits, "list", "-o", "json")

    assert raised.exit_code == 0, raised.stderr
    rows = {line.split()[0]: line.split()[1:] for line in raised.stdout.splitlines() if line}
    assert rows["namespaces"] == ["50", "10"]
    assert json.loads(back.stdout)["namespaces"] == 10
    assert json.loads(listed.stdout)["tags_per_namespace"] == 3


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ("namespaces", 2, "'namespaces' is not LIMIT=NUMBER"),
        ("namespaces=many", 2, "namespaces cannot be 'many'"),
        ("unicorns=1", 1, "there is no account limit 'unicorns'"),
        ("namespaces=0", 1, "namespaces cannot be 0"),
    ],
)
async def test_a_limit_that_cannot_be_is_named(cli: Cli, change: str, code: int, says: str) -> None:
    result = await cli.run("account", "limits", "set", change)

    assert result.exit_code == code
    assert says in result.stderr
