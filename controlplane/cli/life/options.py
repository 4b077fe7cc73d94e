"""The arguments and options that the commands about cells' lives share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import ValidationError

from controlplane.cli.completion import complete_life
from controlplane.cli.failures import UsageError
from controlplane.cli.reasons import ReasonOptions

LifeArgument = Annotated[
    str,
    typer.Argument(
        metavar="CELL", help="The cell's id.", show_default=False, autocompletion=complete_life
    ),
]
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


@contextmanager
def readable_request() -> Iterator[None]:
    """Name what is wrong with a request that is put together within the block."""
    try:
        yield
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise UsageError("; ".join(wrong)) from error
