"""How a running rollout is told what a person wants of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import uuid4

import typer

from controlplane.api.rollout_types import ControlRequest
from controlplane.cli.output import OutputFormat, notes, print_value, results
from controlplane.cli.reasons import ReasonOptions
from controlplane.cli.rollout.options import RolloutOption, running_rollout
from controlplane.cli.rollout.words import how_it_is, needs_a_person
from controlplane.cli.rollout_api import RolloutApi
from rollout.policy import RollbackScope
from rollout.types import ControlKind, RolloutView


@dataclass(frozen=True)
class ControlOptions(ReasonOptions):
    """Which rollout is told, why, and how the wish is called."""

    rollout: RolloutOption = None
    request_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Name the wish; told twice under one id, it is done once.",
            show_default=False,
        ),
    ] = None

    def request(
        self,
        kind: ControlKind,
        *,
        cell: str = "",
        ring: int | None = None,
        gate: str = "",
        until: datetime | None = None,
        scope: RollbackScope = RollbackScope.NONE,
    ) -> ControlRequest:
        """Return what is wanted; the reason is asked for now, unless it was given."""
        return ControlRequest(
            kind=kind,
            reason=self.given(),
            id=self.request_id or str(uuid4()),
            cell=cell,
            ring=ring,
            gate=gate,
            until=until,
            scope=scope,
        )


async def tell(
    api: RolloutApi,
    control: ControlOptions,
    request: ControlRequest,
    output: OutputFormat,
    rollout: str | None = None,
) -> None:
    """Tell the rollout, which is the one that runs unless it is named, and show how it is then."""
    named = rollout or await running_rollout(api, control.rollout)
    _show(await api.control(named, request), output)


def _show(rollout: RolloutView, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_value(rollout)
        return
    told = f": {rollout.message}" if rollout.message else ""
    results().print(f"Rollout {rollout.id}: {how_it_is(rollout)}{told}", markup=False)
    if person := needs_a_person(rollout):
        notes().print(person, markup=False)
