"""Every call of a cell's life goes wrong once, in every way: nothing is made twice or leaks."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cells.providers.gcp.cloud import GcpCloud
from cells.providers.gcp.projects import AGENTS
from controlplane.errors import rejected
from tests.clouds.gcp.cells import BLUEPRINT, NAME, PROJECT, built, demolished
from tests.clouds.gcp.faults import Kind
from tests.clouds.gcp.insisting import Insisting, assert_said, let_each_go_wrong
from tests.clouds.gcp.stand_in import StandIn, running_gcp

CALLS_OF_A_LIFE = 46
"""How many different calls the adapter makes: each goes wrong in each of seven ways."""


async def live(gcp: StandIn) -> list[Exception]:
    """Live a cell's whole life, and return what went wrong on the way."""
    cloud = GcpCloud(gcp.settings)
    insisting = Insisting()
    insist = insisting.until_done

    async def no_obstacles() -> Sequence[str]:
        found = await cloud.obstacles(BLUEPRINT)
        if found:
            raise rejected("; ".join(found))
        return found

    try:
        await insist(no_obstacles)
        account = await insist(lambda: cloud.ensure_account(BLUEPRINT))
        assert await insist(lambda: cloud.find_account(BLUEPRINT)) == account
        await insist(lambda: cloud.environment(account))
        foundation = built(gcp, account)
        await insist(lambda: cloud.cluster_access(foundation))
        login = await insist(lambda: cloud.database_login(foundation))
        project = gcp.world.projects[PROJECT]
        assert project.passwords == {NAME: {"postgres": login.password}}
        assert await insist(lambda: cloud.leftovers(BLUEPRINT, account))
        demolished(project)
        assert not await insist(lambda: cloud.leftovers(BLUEPRINT, account))
        await insist(lambda: cloud.close_account(BLUEPRINT, account))
        await insist(lambda: cloud.ensure_account(BLUEPRINT))
        await insist(lambda: cloud.close_account(BLUEPRINT, account))
        assert await insist(lambda: cloud.find_account(BLUEPRINT)) is None
    finally:
        await cloud.close()
    return insisting.wrong


@pytest.fixture
async def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return every call that a life takes in which nothing goes wrong."""
    async with running_gcp(tmp_path) as quiet:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(quiet.credentials_file))
        assert await live(quiet) == []
        return sorted(quiet.front.calls)


@pytest.mark.parametrize("kind", Kind)
async def test_every_call_may_go_wrong_once_and_there_is_still_one_of_everything(
    calls: list[str], gcp: StandIn, kind: Kind
) -> None:
    let_each_go_wrong(gcp.faults, calls, kind)

    wrong = await live(gcp)

    assert {call for call, _ in gcp.faults.fired} == set(calls)
    assert len(calls) == CALLS_OF_A_LIFE
    assert [made for made in gcp.world.made if not made.startswith("version of")] == [
        f"project {PROJECT}",
        f"billing of {PROJECT}",
        f"APIs of {PROJECT}",
        *(f"agent of {api}" for api in AGENTS),
        f"service account controlplane@{PROJECT}.iam.gserviceaccount.com",
    ]
    project = gcp.world.projects[PROJECT]
    assert list(gcp.world.projects) == ["control-plane", PROJECT]
    assert not project.is_active
    bindings = project.policy.bindings
    assert all(len(set(each["members"])) == len(each["members"]) for each in bindings)
    assert len({each["role"] for each in bindings}) == len(bindings)
    assert gcp.world.state_policy.bindings == gcp.world.zone_policy.bindings == []
    assert_said(kind, wrong)
