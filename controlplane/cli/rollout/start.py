"""`controlplane rollout start`, `plan` and `simulate`."""

from datetime import timedelta
from typing import Annotated

import typer

from controlplane.api.rollout_types import Assumed, DryRun, NewRollout, NewSimulation
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_rollout
from controlplane.cli.durations import read_duration
from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.cli.options import ApiOptions, YesOption, confirm
from controlplane.cli.output import OutputFormat, OutputOption, notes, print_value, results
from controlplane.cli.reasons import ReasonOptions
from controlplane.cli.rollout.options import ReleaseArgument, RuleOptions
from controlplane.cli.rollout.plan_view import show_dry_run, show_forecast
from controlplane.cli.rollout.watch import follow_rollout
from controlplane.cli.rollout.words import how_it_is

app = group()

AllOption = Annotated[bool, typer.Option("--all", help="List every cell, however many there are.")]


@app.command(
    epilog=example(
        "controlplane rollout start 1.32.0 --reason 'quarterly upgrade' --watch",
        "controlplane rollout start 1.32.1 --emergency --policy policy.yaml --reason CVE-2026-1234",
    )
)
@command
async def start(
    release: ReleaseArgument,
    rollout_id: Annotated[
        str,
        typer.Option(
            "--id",
            metavar="ID",
            help="Name the rollout; begun twice under one id, it is begun once.",
            show_default=False,
            autocompletion=complete_rollout,
        ),
    ] = "",
    yes: YesOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it until it ends.")] = False,
    every_cell: AllOption = False,
    *,
    rules: RuleOptions,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Begin to bring a release to every cell.

    Shows first what that does, and asks. It goes ring by ring and batch by batch, waits where the
    policy says, and halts when cells fail.
    """
    wanted = rules.of(release, rollout_id, why.given())
    async with api.rollouts() as opened:
        plan = await opened.dry_run(wanted)
        if output is OutputFormat.TABLE:
            _show_dry_run(plan, wanted, every_cell=every_cell)
        _refuse_problems(plan)
        confirm(f"Begin this rollout of {release}?", yes)
        begun = await opened.start(wanted)
        if output is OutputFormat.TABLE:
            notes().print(
                f"Rollout {begun.id} has begun: {how_it_is(begun)}. "
                f"Watch it with: controlplane rollout watch {begun.id}",
                markup=False,
            )
        elif not watch:
            print_value(begun)
        if watch:
            await follow_rollout(opened, begun.id, output)


@app.command(epilog=example("controlplane rollout plan 1.32.0 --policy policy.yaml"))
@command
async def plan(
    release: ReleaseArgument,
    every_cell: AllOption = False,
    *,
    rules: RuleOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show what a rollout would do, and begin nothing.

    Ring by ring and cell by cell: what it goes through, and what stands against it. Exit 1 if the
    rollout cannot be carried out.
    """
    wanted = rules.of(release)
    async with api.rollouts() as opened:
        found = await opened.dry_run(wanted)
    if output is OutputFormat.JSON:
        print_value(found)
    else:
        _show_dry_run(found, wanted, every_cell=every_cell)
    _refuse_problems(found)


@app.command(
    epilog=example(
        "controlplane rollout simulate 1.32.0 --runs 20",
        "controlplane rollout simulate 1.32.0 --failures 2% --visit-takes 25m",
    )
)
@command
async def simulate(
    release: ReleaseArgument,
    runs: Annotated[int, typer.Option(min=1, max=20, help="How many rollouts to simulate.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Other numbers, other chances.")] = 1,
    visit_takes: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The median of visits, as in 10m.", show_default="10m"),
    ] = None,
    failures: Annotated[
        str, typer.Option(metavar="SHARE", help="Of visits that fail and are undone.")
    ] = "0%",
    sick: Annotated[
        str, typer.Option(metavar="SHARE", help="Of cells that are not ready for a day.")
    ] = "0%",
    *,
    rules: RuleOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Simulate a rollout: how long it takes, what stops it.

    The real rollout in a simulated fleet like this one, in simulated time, again and again. Exit 1
    if something keeps it from finishing, or if a constraint did not hold.
    """
    wanted = rules.of(release)
    assumed = Assumed(
        failure_share=_share("--failures", failures), sick_share=_share("--sick", sick)
    )
    if visit_takes is not None:
        assumed = assumed.model_copy(update={"visit_median": _visit_median(visit_takes)})
    simulation = NewSimulation(
        release=release,
        policy=wanted.policy,
        lane=wanted.lane,
        runs=runs,
        seed=seed,
        assumptions=assumed,
    )
    async with api.rollouts() as opened:
        with notes().status(f"Simulating {runs} rollouts of {release}"):
            found = await opened.simulate(simulation)
    if output is OutputFormat.JSON:
        print_value(found)
    else:
        for part in show_forecast(found):
            results().print(part)
    if violations := [each for run in found.runs for each in run.violations]:
        raise CommandFailed(f"constraints did not hold: {'; '.join(violations)}")
    if found.problems:
        raise CommandFailed(f"the rollout cannot finish: {'; '.join(found.problems)}")


def _share(option: str, text: str) -> float:
    number, percent, rest = text.partition("%")
    try:
        share = float(number) / 100
    except ValueError:
        share = -1
    if rest or not percent or not 0 <= share <= 1:
        raise UsageError(f"{option} is {text!r}: write a share such as 2%")
    return share


def _visit_median(text: str) -> timedelta:
    try:
        length = read_duration(text)
    except ValueError as error:
        raise UsageError(f"--visit-takes: {error}") from error
    if not timedelta(0) < length <= timedelta(days=7):
        raise UsageError(f"--visit-takes is {text}: more than nothing, and 7d at most")
    return length


def _show_dry_run(plan: DryRun, wanted: NewRollout, *, every_cell: bool) -> None:
    for part in show_dry_run(plan, wanted.policy.policy(), every_cell=every_cell):
        results().print(part)


def _refuse_problems(plan: DryRun) -> None:
    if plan.problems:
        raise CommandFailed(
            f"release {plan.release} cannot be rolled out like this: {'; '.join(plan.problems)}"
        )
