"""Why something is asked for: the audit log keeps it."""

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from controlplane.cli.failures import UsageError


@dataclass(frozen=True)
class ReasonOptions:
    """Why something is asked for."""

    reason: Annotated[
        str | None,
        typer.Option(help="Why, for whoever reads the audit log later.", show_default=False),
    ] = None

    def given(self) -> str:
        """Return the reason; ask for it on a terminal, and insist on it elsewhere."""
        if self.reason is not None:
            if not self.reason.strip():
                raise UsageError("the reason is empty: say why, with --reason")
            return self.reason
        if not sys.stdin.isatty():
            raise UsageError("this needs a reason, which the audit log keeps: give --reason")
        asked: str = typer.prompt("Why? (for the audit log)", err=True)
        return asked
