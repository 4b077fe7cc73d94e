"""The `controlplane` command, assembled from its modules.

A module whose imports take long is imported when one of its commands runs: help appears at once.
"""

import os
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.completion import (  # type: ignore[attr-defined]  # completion_init is not exported.
    completion_init,
    install_callback,
    show_callback,
)
from typer.core import TyperGroup
from typer.main import get_command

from controlplane.cli import demo, fleet, services

# The module of each group or command, which calls its Typer `app`, and what help says of it.
IMPORTED_LATE = {
    "namespace": ("controlplane.cli.namespace.app", "Create, change, inspect, delete namespaces."),
    "operation": ("controlplane.cli.operations", "Look at operations and watch them."),
    "region": ("controlplane.cli.regions", "Show where namespaces can be."),
    "release": ("controlplane.cli.release", "Create and look at releases."),
    "rollout": ("controlplane.cli.rollout.app", "Bring releases to the fleet, and watch that."),
    "cell": ("controlplane.cli.cell", "Look at cells, empty them, keep others away from them."),
    "evacuation": ("controlplane.cli.evacuation.app", "Follow and steer the emptying of cells."),
    "availability": ("controlplane.cli.availability", "See why what was failed over, or not."),
    "ledger": ("controlplane.cli.ledger", "See who disturbs which cell, and fence the dead."),
    "calendar": ("controlplane.cli.calendar", "Say when cells may be changed."),
    "account": ("controlplane.cli.account", "Show the account, and set its limits."),
    "whoami": ("controlplane.cli.whoami", "Show whom the API key speaks for."),
    "apikey": ("controlplane.cli.api_keys", "Create, list, disable and delete API keys."),
    "service-account": ("controlplane.cli.service_accounts", "Manage service accounts."),
    "signing-key": ("controlplane.cli.signing_keys", "Rotate the keys that sign API keys."),
    "audit": ("controlplane.cli.audit", "Read and check the audit log."),
    "certs": ("controlplane.cli.certs", "Make an authority and client certificates."),
}
_COMPLETIONS = ("--install-completion", "--show-completion")


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


class LateImports(TyperGroup):
    """Knows the groups of `IMPORTED_LATE` by name, and imports one when it is called."""

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]  # Click's, vendored.
        name, command, rest = super().resolve_command(ctx, args)
        if name in IMPORTED_LATE:
            module, _ = IMPORTED_LATE[name]
            command = get_command(import_module(module).app)
            command.name = name
        return name, command, rest

    def parse_args(self, ctx, args):  # type: ignore[no-untyped-def]
        if len(args) == 1 and args[0] in _COMPLETIONS:
            # The shell that is meant is nearly always one's own.
            args = [*args, Path(os.environ.get("SHELL", Shell.BASH)).name]
        return super().parse_args(ctx, args)


def build() -> typer.Typer:
    """Return the whole command."""
    app = typer.Typer(
        cls=LateImports,
        no_args_is_help=True,
        rich_markup_mode=None,  # As `command.group` says.
        # In its own way it offers no choice of shell.
        add_completion=False,
        pretty_exceptions_show_locals=False,  # They may hold secrets.
    )
    completion_init()
    app.callback()(controlplane)
    app.add_typer(demo.app)
    app.add_typer(fleet.app)
    for name, (_, help_text) in IMPORTED_LATE.items():
        app.add_typer(typer.Typer(help=help_text), name=name)
    app.add_typer(services.app)
    return app


def controlplane(
    install_completion: Annotated[
        Shell | None,
        typer.Option(
            help="Complete commands and names in this shell from now on.",
            callback=install_callback,
            is_eager=True,
            expose_value=False,
            show_default=False,
        ),
    ] = None,
    show_completion: Annotated[
        Shell | None,
        typer.Option(
            help="Print what that installs.",
            callback=show_callback,
            is_eager=True,
            expose_value=False,
            show_default=False,
        ),
    ] = None,
) -> None:
    """A self-hosted control plane for fleets of Temporal clusters."""
