"""`controlplane cell evacuate`, `drain` and `drill`: empty a cell, or see that it can be."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from controlplane.api.evacuation_types import EvacuationOverrides, NewEvacuation
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_region
from controlplane.cli.durations import read_duration
from controlplane.cli.evacuation.watch import follow_evacuation
from controlplane.cli.evacuation.words import how_it_is, title
from controlplane.cli.evacuation_api import EvacuationApi
from controlplane.cli.failures import UsageError
from controlplane.cli.options import ApiOptions, CellArgument, YesOption, confirm
from controlplane.cli.output import OutputFormat, OutputOption, notes, print_value
from controlplane.cli.reasons import ReasonOptions
from provisioning.evacuation.policy import Confirm, EvacuationKind, TierOrder
from provisioning.types import FailoverMode

app = group()

WatchOption = Annotated[
    bool, typer.Option("--watch", "-w", help="Stay with it until it has ended.")
]


class First(StrEnum):
    HIGHEST = "highest"
    LOWEST = "lowest"


_ORDERS = {First.HIGHEST: TierOrder.HIGHEST_FIRST, First.LOWEST: TierOrder.LOWEST_FIRST}


@dataclass(frozen=True)
class PaceOptions:
    """How fast namespaces are failed over, and in which order."""

    at_once: Annotated[
        int | None,
        typer.Option(min=1, help="So many namespaces at a time.", show_default="5"),
    ] = None
    per_minute: Annotated[
        int | None,
        typer.Option(min=1, help="And so many begun in a minute.", show_default="30"),
    ] = None
    first: Annotated[
        First | None,
        typer.Option(help="Which tier's turn comes first.", show_default="by kind"),
    ] = None
    patience: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long to wait for what may pass, such as a target that is disturbed.",
            show_default="by kind",
        ),
    ] = None
    evacuation: Annotated[
        str,
        typer.Option(
            "--id",
            metavar="ID",
            help="Name it; asked for twice under one id, it is begun once.",
            show_default="the cell's name and a number",
        ),
    ] = ""

    def over(self, **more: object) -> EvacuationOverrides:
        """Return these and other rules as the request says them."""
        patience = None if self.patience is None else _length("--patience", self.patience)
        return EvacuationOverrides.model_validate(
            {
                "at_once": self.at_once,
                "per_minute": self.per_minute,
                "order": None if self.first is None else _ORDERS[self.first],
                "patience": patience,
                **more,
            }
        )


@app.command(
    epilog=example(
        "controlplane cell evacuate aws-us-east-1-c3 --watch --reason 'its disk is slow'",
        "controlplane cell evacuate aws-us-east-1-c3 --source-lost --yes --reason 'it burns'",
    )
)
@command
async def evacuate(
    cell: CellArgument,
    graceful: Annotated[
        bool, typer.Option("--graceful", help="Lose nothing; leave what cannot be handed over.")
    ] = False,
    forced: Annotated[
        bool, typer.Option("--forced", help="At once: what was not replicated may be lost.")
    ] = False,
    move_opted_out: Annotated[
        bool,
        typer.Option(
            "--move-opted-out", help="Move namespaces, too, whose owners said not to unasked."
        ),
    ] = False,
    source_lost: Annotated[
        bool,
        typer.Option("--source-lost", help="You answer for it: the cell is dead. All is forced."),
    ] = False,
    watch: WatchOption = False,
    yes: YesOption = False,
    *,
    pace: PaceOptions,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Fail over every replicated namespace that is active in a cell.

    Gracefully at first, then by force, unless said otherwise. What cannot move stays, with its
    reason. The cell is cordoned.
    """
    if graceful and forced:
        raise UsageError("--graceful and --forced exclude each other: give one, or none for both")
    mode = FailoverMode.GRACEFUL if graceful else FailoverMode.FORCED if forced else None
    rules = pace.over(mode=mode, move_opted_out=True if move_opted_out else None)
    wanted = _wanted(cell, EvacuationKind.EVACUATE, rules, pace, why, source_lost=source_lost)
    risk = " What has not been replicated may be lost." if source_lost or forced else ""
    confirm(f"Fail over every replicated namespace that is active in {cell}?{risk}", yes)
    await _begin(wanted, api, output, watch=watch)


@app.command(
    epilog=example(
        "controlplane cell drain aws-us-east-1-c3 --watch --reason 'it is taken out of service'",
        "controlplane cell drain aws-us-east-1-c3 --to-region aws-us-west-2 --confirm auto "
        "--reason 'it is taken out of service'",
    )
)
@command
async def drain(
    cell: CellArgument,
    to_region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGION",
            help="Where to migrate to when the cell's own region has no room; repeatable.",
            show_default=False,
            autocompletion=complete_region,
        ),
    ] = None,
    confirm_by: Annotated[
        Confirm | None,
        typer.Option(
            "--confirm",
            help="Who says that a migrated namespace gives up the cell: there is no way back.",
            show_default="ask",
        ),
    ] = None,
    soak: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long at least the cell stays a replica of what was migrated.",
            show_default="0",
        ),
    ] = None,
    watch: WatchOption = False,
    yes: YesOption = False,
    *,
    pace: PaceOptions,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Empty a cell: fail over what has a replica elsewhere, then migrate the rest."""
    rules = pace.over(
        other_regions=to_region or None,
        confirm=confirm_by,
        migration_soak=None if soak is None else _length("--soak", soak),
    )
    wanted = _wanted(cell, EvacuationKind.DRAIN, rules, pace, why)
    confirm(f"Move everything out of {cell}?", yes)
    await _begin(wanted, api, output, watch=watch)


@app.command(
    epilog=example("controlplane cell drill aws-us-east-1-c3 --soak 5m --watch --reason 'May'")
)
@command
async def drill(
    cell: CellArgument,
    soak: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long the namespaces stay away.", show_default="10m"),
    ] = None,
    watch: WatchOption = False,
    yes: YesOption = False,
    *,
    pace: PaceOptions,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Fail a cell's namespaces over as if it were lost, and back, and report how that went.

    Gracefully: nothing is lost. With the first that fails, everything returns.
    """
    rules = pace.over(drill_soak=None if soak is None else _length("--soak", soak))
    wanted = _wanted(cell, EvacuationKind.DRILL, rules, pace, why)
    confirm(f"Fail over the namespaces of {cell}, and back, to see that it works?", yes)
    await _begin(wanted, api, output, watch=watch)


def _wanted(
    cell: str,
    kind: EvacuationKind,
    rules: EvacuationOverrides,
    pace: PaceOptions,
    why: ReasonOptions,
    *,
    source_lost: bool = False,
) -> NewEvacuation:
    return NewEvacuation(
        cell=cell,
        kind=kind,
        id=pace.evacuation,
        policy=rules,
        source_lost=source_lost,
        reason=why.given(),
    )


async def _begin(
    wanted: NewEvacuation, api: ApiOptions, output: OutputFormat, *, watch: bool
) -> None:
    async with api.operators() as opened:
        evacuations = EvacuationApi(opened.http)
        begun = await evacuations.start(wanted)
        if output is OutputFormat.TABLE:
            notes().print(
                f"{title(begun)} has begun: {how_it_is(begun)}. "
                f"Watch it with: controlplane evacuation watch {begun.id}",
                markup=False,
            )
        elif not watch:
            print_value(begun)
        if watch:
            await follow_evacuation(evacuations, begun.id, output)


def _length(option: str, text: str) -> timedelta:
    try:
        return read_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
