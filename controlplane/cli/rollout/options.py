"""What the commands about rollouts are told, and which rollout is meant when none is named."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from controlplane.api.rollout_types import NewRollout, RolloutSummary
from controlplane.cli.completion import complete_release, complete_rollout
from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.cli.rollout.policy import read_policy_file
from controlplane.cli.rollout_api import RolloutApi
from rollout.policy import Lane, Supersession
from rollout.types import Phase

ReleaseArgument = Annotated[
    str,
    typer.Argument(
        metavar="RELEASE",
        help="The name of a release.",
        show_default=False,
        autocompletion=complete_release,
    ),
]
RolloutArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="ID",
        help="The rollout; the one that runs, unless said.",
        show_default=False,
        autocompletion=complete_rollout,
    ),
]
RolloutOption = Annotated[
    str | None,
    typer.Option(
        "--rollout",
        "-r",
        metavar="ID",
        help="The rollout; the one that runs, unless said.",
        show_default=False,
        autocompletion=complete_rollout,
    ),
]


@dataclass(frozen=True)
class RuleOptions:
    """By which rules a release goes through the fleet."""

    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Rules in YAML, where they differ from those of `controlplane rollout policy`.",
            show_default=False,
        ),
    ] = None
    emergency: Annotated[
        bool,
        typer.Option(
            "--emergency",
            help="Bakes of minutes, bigger batches; one cell first and two approvals stay.",
        ),
    ] = False

    supersede: Annotated[
        bool,
        typer.Option(
            "--supersede",
            help="Take over from a rollout that writes the same, once it is at a safe point.",
        ),
    ] = False

    def of(self, release: str, rollout: str = "", reason: str = "") -> NewRollout:
        """Return the rollout of a release by these rules."""
        policy = read_policy_file(self.policy)
        if self.supersede:
            policy = policy.model_copy(update={"supersession": Supersession.SUPERSEDE})
        return NewRollout(
            release=release,
            id=rollout,
            policy=policy,
            lane=Lane.EMERGENCY if self.emergency else Lane.NORMAL,
            reason=reason,
        )


async def running_rollout(api: RolloutApi, named: str | None) -> str:
    """Return the id of the rollout that is meant: the one that runs, unless it is named."""
    return named if named is not None else _the_running(await api.latest())


async def latest_rollout(api: RolloutApi, named: str | None) -> str:
    """Return the id of the rollout to look at: named, else that which runs, else the last one."""
    if named is not None:
        return named
    # Read once: meanwhile the one that runs may end.
    latest = await api.latest()
    if latest and all(each.phase is Phase.ENDED for each in latest):
        return latest[0].id
    return _the_running(latest)


def _the_running(rollouts: Sequence[RolloutSummary]) -> str:
    going_on = [each for each in rollouts if each.phase is not Phase.ENDED]
    # What waits for its turn is not what runs, if something does.
    at_work = [each for each in going_on if each.phase is not Phase.QUEUED] or going_on
    if not at_work:
        raise CommandFailed(
            "no rollout runs; `controlplane rollout list` shows those there were, and "
            "`controlplane rollout start RELEASE` begins one"
        )
    if len(at_work) > 1:
        raise UsageError(
            f"{len(at_work)} rollouts run: say which is meant, of "
            f"{', '.join(sorted(each.id for each in at_work))}"
        )
    return at_work[0].id
