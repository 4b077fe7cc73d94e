"""Why a namespace is where it is and as it is, for people."""

from rich.console import RenderableType
from rich.text import Text

from cells.placement import Verdict
from controlplane.api.fleet_types import NamespaceDetails
from controlplane.cli.output import moment, table


def explain_placement(namespace: NamespaceDetails) -> list[RenderableType]:
    """Return the decision in a sentence, then placement's verdict on every cell."""
    placement = namespace.placement
    if placement is None:
        return [Text(f"No cell has been chosen for {namespace.id} yet.")]
    verdicts = table("CELL", "VERDICT", "BECAUSE")
    for verdict in placement.verdicts:
        verdicts.add_row(
            verdict.cell, _verdict(verdict, placement.cell), "; ".join(verdict.reasons)
        )
    return [
        Text(
            f"{namespace.id} asked for {placement.region} and is in {placement.cell}."
            if placement.cell
            else f"{namespace.id} asked for {placement.region}, where no cell could take it."
        ),
        verdicts,
    ]


def explain_conditions(namespace: NamespaceDetails) -> RenderableType:
    """Return what was last observed about the namespace."""
    conditions = table("CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE")
    for condition in namespace.conditions:
        conditions.add_row(
            condition.type,
            condition.status,
            moment(condition.last_transition_time),
            condition.reason,
            condition.message,
        )
    return conditions


def _verdict(verdict: Verdict, chosen: str | None) -> Text:
    if verdict.cell == chosen:
        return Text("chosen", style="green")
    if verdict.score is None:
        return Text("out", style="red")
    return Text(f"fits, less well ({verdict.score:.3f})", style="yellow")
