"""`controlplane availability`: failovers nobody asks for, and why they did or did not happen."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from controlplane.api.availability_types import AvailabilityOverrides, NewAvailabilityPolicy
from controlplane.cli.command import command, example, group
from controlplane.cli.durations import duration_text
from controlplane.cli.evacuation_api import EvacuationApi
from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.cli.options import ApiOptions, CellArgument, YesOption, confirm
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_facts,
    print_value,
    results,
    table,
)
from controlplane.cli.reasons import ReasonOptions
from provisioning.automatic.types import (
    AvailabilityPolicy,
    AvailabilityView,
    CellAvailability,
    Choice,
    Verdict,
)

app = group("See which cells count as lost, by whose word, and what comes of it.")

_STYLES = {
    Verdict.WELL: "green",
    Verdict.SUSPECTED: "yellow",
    Verdict.RECOVERING: "yellow",
    Verdict.LOST: "bold red",
    Verdict.HELD: "bold yellow",
}


@app.command()
@command
async def show(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """Show what is believed of each cell, and what happens next."""
    async with api.operators() as opened:
        view = await EvacuationApi(opened.http).availability()
    if output is OutputFormat.JSON:
        print_value(view)
        return
    print_facts(_facts(view))
    rows = table("CELL", "REGION", "VERDICT", "SINCE", "VOTES", "NEXT", "WHAT KEEPS IT")
    for cell in view.cells:
        rows.add_row(
            cell.cell,
            cell.region,
            Text(cell.verdict, _STYLES.get(cell.verdict, "")),
            moment(cell.since) if cell.since else "-",
            cell.quorum,
            cell.next or "-",
            cell.why_not,
        )
    results().print()
    results().print(rows)
    if view.namespaces:
        _show_namespaces(view)


@app.command(epilog=example("controlplane availability explain aws-us-east-1-c3"))
@command
async def explain(
    cell: CellArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Say why a cell counts as lost or not, and why its namespaces were failed over or not."""
    async with api.operators() as opened:
        view = await EvacuationApi(opened.http).availability()
    known = {each.cell: each for each in view.cells}
    if cell not in known:
        raise CommandFailed(
            f"nothing was decided about a cell {cell!r}: `controlplane availability show` lists "
            "those there are"
        )
    found = known[cell]
    about = [each for each in view.namespaces if each.cell == cell]
    if output is OutputFormat.JSON:
        print_value({"cell": found, "namespaces": about})
        return
    print_facts(_cell_facts(found, view))
    rows = table("VOTE", "OF", "FROM", "SAID AT", "BECAUSE")
    for vote in found.votes:
        said = moment(vote.at) if vote.at else "never"
        rows.add_row(vote.ballot, vote.vantage, vote.region or "-", said, vote.why)
    results().print()
    results().print(rows)
    if about:
        _show_namespaces(view, cell)


@app.command(epilog=example("controlplane availability pause --reason 'the network is rebuilt'"))
@command
async def pause(
    yes: YesOption = False,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Fail nothing over unasked until `resume`.

    The watch goes on, and so does what is under way.
    """
    reason = why.given()
    confirm("Fail nothing over unasked, in the whole fleet, whatever is lost?", yes)
    async with api.operators() as opened:
        view = await EvacuationApi(opened.http).pause_availability(reason)
    _tell(view, output)


@app.command()
@command
async def resume(
    *, why: ReasonOptions, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Fail over again what is lost."""
    reason = why.given()
    async with api.operators() as opened:
        view = await EvacuationApi(opened.http).resume_availability(reason)
    _tell(view, output)


@app.command(
    epilog=example(
        "controlplane availability policy",
        "controlplane availability policy --set failback=false --reason 'until Monday'",
    )
)
@command
async def policy(
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="RULE=VALUE",
            help="Change a rule, such as lost_rounds=5 or lost_for=PT1M; repeatable.",
            show_default=False,
        ),
    ] = None,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show when a cell counts as lost and how much may be moved at once, or change that."""
    async with api.operators() as opened:
        evacuations = EvacuationApi(opened.http)
        if set_:
            wanted = NewAvailabilityPolicy(policy=_overrides(set_), reason=why.given())
            view = await evacuations.set_availability_policy(wanted)
        else:
            view = await evacuations.availability()
    if output is OutputFormat.JSON:
        print_value(view.policy)
    else:
        print_facts(_rules(view.policy))


@app.command("lift-hold")
@command
async def lift_hold(
    cell: CellArgument,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let a cell that came and went be failed over, or returned to, again."""
    reason = why.given()
    async with api.operators() as opened:
        view = await EvacuationApi(opened.http).lift_hold(cell, reason)
    _tell(view, output)


def _tell(view: AvailabilityView, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_value(view)
    else:
        notes().print(_state(view), markup=False)


def _facts(view: AvailabilityView) -> Iterator[tuple[str, str]]:
    yield "State", _state(view)
    yield "As of", moment(view.at)
    for vantage in view.vantages:
        if not (vantage.answers and vantage.trusted):
            yield f"Workers in {vantage.region}", f"do not count: {vantage.message}"


def _cell_facts(cell: CellAvailability, view: AvailabilityView) -> Iterator[tuple[str, str]]:
    yield "Cell", f"{cell.cell} ({cell.region})"
    since = f" since {moment(cell.since)}" if cell.since else ""
    yield "Verdict", f"{cell.verdict}{since}: {cell.quorum}"
    at = f", at {moment(cell.next_at)}" if cell.next_at else ""
    yield "Next", f"{cell.next}{at}" if cell.next else "nothing"
    if cell.why_not:
        yield "What keeps it", cell.why_not
    if cell.asks_person:
        yield "Waits for", "a person"
    if view.paused is not None or view.blind:
        yield "State", _state(view)


def _state(view: AvailabilityView) -> str:
    if view.paused is not None:
        paused = view.paused
        return f"paused by {paused.by} since {moment(paused.at)}: {paused.reason}"
    return f"nothing can be decided: {view.blind}" if view.blind else "watching"


def _show_namespaces(view: AvailabilityView, cell: str = "") -> None:
    rows = table("NAMESPACE", "CELL", "WHAT", "TO", "BECAUSE")
    for each in view.namespaces:
        if cell in ("", each.cell):
            style = "cyan" if each.choice in (Choice.MOVES, Choice.MOVING) else ""
            what = Text(each.choice, style)
            rows.add_row(each.namespace, each.cell, what, each.target or "-", each.reason)
    results().print()
    results().print(rows)


def _rules(policy: AvailabilityPolicy) -> Iterator[tuple[str, str]]:
    for name, value in vars(policy).items():
        if isinstance(value, tuple):
            yield name, ", ".join(value) or "none"
        else:
            yield name, duration_text(value) if hasattr(value, "total_seconds") else str(value)


def _overrides(texts: list[str]) -> AvailabilityOverrides:
    rules: dict[str, str | list[str]] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or name not in AvailabilityOverrides.model_fields:
            known = ", ".join(AvailabilityOverrides.model_fields)
            raise UsageError(f"--set {text!r} is not RULE=VALUE with one of these rules: {known}")
        rules[name] = value.split(",") if name == "witnesses" else value
    try:
        return AvailabilityOverrides.model_validate(rules)
    except ValueError as error:
        raise UsageError(f"--set: {error}") from error
