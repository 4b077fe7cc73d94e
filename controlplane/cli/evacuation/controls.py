"""`controlplane evacuation pause`, `resume`, `abort`, `retry`, `skip`, `confirm` and `return`."""

from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

import typer

from controlplane.api.evacuation_types import EvacuationControl
from controlplane.cli.command import command, group
from controlplane.cli.completion import complete_namespace
from controlplane.cli.evacuation.options import EvacuationArgument, found_evacuation
from controlplane.cli.evacuation.words import counts_line, how_it_is, needs_a_person, title
from controlplane.cli.evacuation_api import EvacuationApi
from controlplane.cli.options import ApiOptions, YesOption, confirm
from controlplane.cli.output import OutputFormat, OutputOption, notes, print_value, results
from controlplane.cli.reasons import ReasonOptions
from provisioning.evacuation.types import ControlKind

app = group()

NamespaceOption = Annotated[
    str,
    typer.Option(
        help="Its full id.",
        show_default="all that it can be done to",
        autocompletion=complete_namespace,
    ),
]


@dataclass(frozen=True)
class ControlOptions(ReasonOptions):
    """Why, and how the wish is called."""

    request_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Name the wish; told twice under one id, it is done once.",
            show_default=False,
        ),
    ] = None


@app.command()
@command
async def pause(
    evacuation: EvacuationArgument,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Begin to move nothing more until `resume`.

    What is under way comes to its end.
    """
    await _tell(evacuation, ControlKind.PAUSE, control, api, output)


@app.command()
@command
async def resume(
    evacuation: EvacuationArgument,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Go on after `pause`, or after too many failures."""
    await _tell(evacuation, ControlKind.RESUME, control, api, output)


@app.command()
@command
async def abort(
    evacuation: EvacuationArgument,
    yes: YesOption = False,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Stop it.

    What was moved stays where it is; a drill comes back. The cell is uncordoned if this cordoned
    it.
    """
    confirm(f"Abort evacuation {evacuation}?", yes)
    await _tell(evacuation, ControlKind.ABORT, control, api, output)


@app.command()
@command
async def retry(
    evacuation: EvacuationArgument,
    namespace: NamespaceOption = "",
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Try namespaces again that were left where they are."""
    await _tell(evacuation, ControlKind.RETRY, control, api, output, namespace)


@app.command()
@command
async def skip(
    evacuation: EvacuationArgument,
    namespace: Annotated[
        str,
        typer.Option(help="Its full id.", show_default=False, autocompletion=complete_namespace),
    ],
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Leave a namespace where it is."""
    await _tell(evacuation, ControlKind.SKIP, control, api, output, namespace)


@app.command("confirm")
@command
async def confirm_migrations(
    evacuation: EvacuationArgument,
    namespace: NamespaceOption = "",
    yes: YesOption = False,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let migrated namespaces give up the cell.

    There is no way back but another migration.
    """
    which = namespace or "every namespace that waits for it"
    confirm(f"Let {which} give up its replica in the cell? There is no way back.", yes)
    await _tell(evacuation, ControlKind.CONFIRM, control, api, output, namespace)


@app.command("return")
@command
async def return_now(
    evacuation: EvacuationArgument,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Bring the namespaces of a drill back now."""
    await _tell(evacuation, ControlKind.RETURN, control, api, output)


async def _tell(
    evacuation: str,
    kind: ControlKind,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputFormat,
    namespace: str = "",
) -> None:
    wanted = EvacuationControl(
        id=control.request_id or str(uuid4()),
        kind=kind,
        namespace=namespace,
        reason=control.given(),
    )
    async with api.operators() as opened:
        evacuations = EvacuationApi(opened.http)
        named = (await found_evacuation(evacuations, evacuation)).id
        told = await evacuations.control(named, wanted)
    if output is OutputFormat.JSON:
        print_value(told)
        return
    counted = counts_line(told.counts)
    results().print(
        f"{title(told)}: {how_it_is(told)}{f'; {counted}' if counted else ''}", markup=False
    )
    if person := needs_a_person(told):
        notes().print(person, markup=False)
