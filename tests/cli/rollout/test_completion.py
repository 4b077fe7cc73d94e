"""Names of releases, rollouts and cells after TAB."""

from tests.cli.command import Cli
from tests.cli.rollout.releases import started
from tests.cli.test_completion import offered


async def test_releases_rollouts_and_cells_are_offered_too(cli: Cli) -> None:
    rollout = await started(cli)

    assert await offered(cli, f"controlplane release show {rollout[:6]}") == [rollout]
    assert await offered(cli, f"controlplane rollout plan {rollout[:6]}") == [rollout]
    assert await offered(cli, f"controlplane rollout watch {rollout[:6]}") == [rollout]
    assert await offered(cli, "controlplane rollout explain aws-us-e") == ["aws-us-east-1-c1"]
    assert await offered(cli, "controlplane cell cordon synth") == ["synthetic-c0"]
