"""`controlplane rollout pause`, `resume`, `abort`, `rollback`, `approve` and `complete-gate`."""

from enum import StrEnum
from typing import Annotated

import typer

from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_cell
from controlplane.cli.failures import UsageError
from controlplane.cli.options import ApiOptions, YesOption, confirm, read_until
from controlplane.cli.output import OutputFormat, OutputOption, results
from controlplane.cli.rollout.options import running_rollout
from controlplane.cli.rollout.plan_view import show_present_plan
from controlplane.cli.rollout.telling import ControlOptions, tell
from rollout.policy import RollbackScope
from rollout.types import ControlKind

app = group()


class Scope(StrEnum):
    """What of a rollout goes back when it is aborted."""

    BATCH = "batch"
    RING = "ring"
    ALL = "all"


class OneOrMore(StrEnum):
    """What of a rollout goes back."""

    CELL = "cell"
    BATCH = "batch"
    RING = "ring"
    ALL = "all"


@app.command()
@command
async def pause(
    *, control: ControlOptions, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Start no further cell until `resume`.

    Cells under way finish, and bakes go on.
    """
    request = control.request(ControlKind.PAUSE)
    async with api.rollouts() as opened:
        await tell(opened, control, request, output)


@app.command()
@command
async def resume(
    *, control: ControlOptions, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Go on after `pause`, or after a halt.

    After a halt you vouch for what the gates held against it: bakes begin anew.
    """
    request = control.request(ControlKind.RESUME)
    async with api.rollouts() as opened:
        await tell(opened, control, request, output)


@app.command(
    epilog=example(
        "controlplane rollout abort --reason 'wrong release'",
        "controlplane rollout abort --roll-back ring --reason 'slower than before'",
    )
)
@command
async def abort(
    roll_back: Annotated[
        Scope | None,
        typer.Option(help="Bring this back to what it had, too.", show_default="leave it"),
    ] = None,
    yes: YesOption = False,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """End a rollout at a safe point.

    Cells under way finish or go back first. What is done stays, unless --roll-back says otherwise.
    """
    scope = RollbackScope.NONE if roll_back is None else RollbackScope(roll_back)
    request = control.request(ControlKind.ABORT, scope=scope)
    after = "leaving what is done" if roll_back is None else f"rolling back {_goes_back(scope)}"
    async with api.rollouts() as opened:
        named = await running_rollout(opened, control.rollout)
        confirm(f"Abort rollout {named}, {after}?", yes)
        await tell(opened, control, request, output, named)


@app.command(
    epilog=example(
        "controlplane rollout rollback --scope ring --reason 'slower than before'",
        "controlplane rollout rollback --scope cell --cell aws-us-east-1-c3 --reason 'it is odd'",
    )
)
@command
async def rollback(
    scope: Annotated[OneOrMore, typer.Option(help="What goes back.", show_default=False)],
    cell: Annotated[
        str,
        typer.Option(
            help="The cell, with --scope cell.", show_default=False, autocompletion=complete_cell
        ),
    ] = "",
    yes: YesOption = False,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Bring cells back to what they had before.

    Faster than forward, and under the same limits.
    """
    if (scope is OneOrMore.CELL) is not bool(cell):
        raise UsageError(
            "--scope cell and --cell go together: say which cell goes back, or drop it"
        )
    request = control.request(ControlKind.ROLL_BACK, scope=RollbackScope(scope), cell=cell)
    async with api.rollouts() as opened:
        named = await running_rollout(opened, control.rollout)
        what = cell or _goes_back(request.scope)
        confirm(f"Roll back {what} of rollout {named}?", yes)
        await tell(opened, control, request, output, named)


@app.command()
@command
async def approve(
    ring: Annotated[
        int | None,
        typer.Option(min=0, help="The ring that may begin.", show_default="the next one"),
    ] = None,
    yes: YesOption = False,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Agree that a ring begins, having seen the plan.

    The approval holds for this very plan, in view of what is known of the release now: once the
    plan is another one, or the evidence has turned worse, it is void.
    """
    request = control.request(ControlKind.APPROVE, ring=ring)
    async with api.rollouts() as opened:
        named = await running_rollout(opened, control.rollout)
        plan = await opened.present_plan(named)
        if output is OutputFormat.TABLE:
            for part in show_present_plan(plan):
                results().print(part)
        confirm(f"Approve this plan{'' if ring is None else f' for ring {ring}'}?", yes)
        seen = {"plan": plan.plan_hash, "evidence": plan.evidence_digest}
        request = request.model_copy(update=seen)
        await tell(opened, control, request, output, named)


@app.command(
    "complete-gate",
    epilog=example("controlplane rollout complete-gate latency --until 4h --reason 'known outage'"),
)
@command
async def complete_gate(
    gate: Annotated[
        str,
        typer.Argument(metavar="GATE", help="Its name in the policy.", show_default=False),
    ],
    until: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="How long, as in 2h or 3d, or until when, as in 2026-12-01T09:00.",
            show_default=False,
        ),
    ],
    yes: YesOption = False,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Answer for a gate yourself, for a time.

    Until then it passes, whatever it sees.
    """
    end = read_until(until)
    request = control.request(ControlKind.COMPLETE_GATE, gate=gate, until=end)
    async with api.rollouts() as opened:
        named = await running_rollout(opened, control.rollout)
        confirm(f"Let gate {gate} of rollout {named} pass, whatever it sees?", yes)
        await tell(opened, control, request, output, named)


def _goes_back(scope: RollbackScope) -> str:
    return "every cell that has it" if scope is RollbackScope.ALL else f"the {scope}"
