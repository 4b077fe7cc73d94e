"""The options that the commands about cells' lives share."""

from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

import typer

from controlplane.cli.reasons import ReasonOptions

WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Stay with it until it is done.")
]
OperationOption = Annotated[
    str | None,
    typer.Option(
        "--operation-id",
        metavar="ID",
        help="Name the operation; asking twice under one id does it once.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class LifeOptions(ReasonOptions):
    """Why something is wanted of a life, how the wish is called, how long to stay with it."""

    operation_id: OperationOption = None
    wait: WaitOption = True

    def name_operation(self) -> str:
        return self.operation_id or str(uuid4())
