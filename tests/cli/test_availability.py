"""Failovers that nobody asks for, by command: what was decided, why, and how that is steered."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from controlplane.store.availability import AvailabilityProjections
from provisioning.automatic.types import AvailabilityView, CellRecord, Verdict
from tests.api.running import RunningApi
from tests.cli.command import Cli
from tests.store.replica_views import OTHER_CELL, availability_view
from tests.store.views import CELL

BECAUSE = ("--reason", "the network is rebuilt")


@pytest.fixture
async def decided(api: RunningApi) -> AsyncIterator[AvailabilityView]:
    """What the watch has published; as it was before when the test is over."""
    state = api.fleet.availability.state
    # Above whatever another test has published.
    state.revision += 10_000
    view = replace(availability_view(), revision=state.revision)
    await AvailabilityProjections(api.pool).publish_availability(view)
    yield view
    state.paused = None


@pytest.mark.usefixtures("decided")
async def test_every_cell_is_shown_with_what_is_believed_of_it(cli: Cli) -> None:
    shown = await cli.run("availability", "show")
    plain = json.loads((await cli.run("availability", "show", "-o", "json")).stdout)

    assert "State  watching" in shown.stdout
    rows = {line.split()[0]: line for line in shown.stdout.splitlines() if line.strip()}
    assert rows[CELL].split()[2] == "lost"
    assert "3 of 4 say lost: enough" in rows[CELL]
    assert rows[OTHER_CELL].split()[2] == "well"
    assert "it has one replica only" in rows["lone.acme1"]
    assert [cell["verdict"] for cell in plain["cells"]] == ["lost", "well"]


@pytest.mark.usefixtures("decided")
async def test_a_cell_is_explained_by_its_votes_and_its_namespaces(cli: Cli) -> None:
    told = await cli.run("availability", "explain", CELL)
    well = await cli.run("availability", "explain", OTHER_CELL)
    plain = await cli.run("availability", "explain", CELL, "-o", "json")
    unknown = await cli.run("availability", "explain", "nowhere-c1")

    assert "3 of 4 say lost: enough" in told.stdout
    votes = [line for line in told.stdout.splitlines() if line.startswith(("lost ", "abstains "))]
    assert [line.split()[1] for line in votes] == ["workers/aws-us-west-2", f"entity/{CELL}"]
    assert "it is silent" in votes[1]
    assert "orders.acme1" in told.stdout
    assert "orders.acme1" not in well.stdout
    assert json.loads(plain.stdout)["cell"]["verdict"] == "lost"
    assert unknown.exit_code == 1
    assert "nothing was decided about a cell 'nowhere-c1'" in unknown.stderr


@pytest.mark.usefixtures("decided")
async def test_it_is_paused_and_resumed_with_a_reason(cli: Cli, api: RunningApi) -> None:
    unsure = await cli.run("availability", "pause", *BECAUSE)
    paused = await cli.run("availability", "pause", *BECAUSE, "--yes")
    shown = await cli.run("availability", "show")
    resumed = await cli.run("availability", "resume", *BECAUSE)

    assert unsure.exit_code == 2
    assert "Fail nothing over unasked, in the whole fleet" in unsure.stderr
    assert "the network is rebuilt" in paused.stderr
    assert "State  paused by " in shown.stdout
    assert "watching" in resumed.stderr
    assert api.fleet.availability.state.paused is None


@pytest.mark.usefixtures("decided")
async def test_a_rule_is_shown_changed_and_misspelt(cli: Cli, api: RunningApi) -> None:
    shown = await cli.run("availability", "policy")
    rule = ("availability", "policy", "--set", "lost_rounds=5", "--set", "lost_for=PT1M")
    changed = await cli.run(*rule, *BECAUSE)
    misspelt = await cli.run("availability", "policy", "--set", "lost_round=5", *BECAUSE)
    wrong = await cli.run("availability", "policy", "--set", "lost_rounds=many", *BECAUSE)
    refused = await cli.run("availability", "policy", "--set", "lost_rounds=1", *BECAUSE)
    back = ("availability", "policy", "--set", "lost_rounds=3", "--set", "lost_for=PT30S")
    await cli.run(*back, *BECAUSE)

    rules = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
    assert (rules["lost_rounds"], rules["lost_for"], rules["failback"]) == ("3", "30s", "True")
    assert changed.exit_code == 0, changed.stderr
    assert "lost_rounds       5" in changed.stdout
    assert (misspelt.exit_code, wrong.exit_code, refused.exit_code) == (2, 2, 1)
    assert "is not RULE=VALUE with one of these rules: lost_rounds, " in misspelt.stderr
    assert "lost_rounds is 1: at least 2" in refused.stderr
    assert api.fleet.availability.state.policy.lost_rounds == 3


@pytest.mark.usefixtures("decided")
async def test_the_hold_of_a_cell_is_lifted(cli: Cli, api: RunningApi) -> None:
    record = api.fleet.availability.state.cells[CELL] = CellRecord(verdict=Verdict.HELD)

    lifted = await cli.run("availability", "lift-hold", CELL, *BECAUSE)

    assert lifted.exit_code == 0, lifted.stderr
    assert record.verdict is not Verdict.HELD
