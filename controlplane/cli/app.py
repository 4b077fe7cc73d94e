"""The `controlplane` command, assembled from its modules.

A module whose imports take long is imported when one of its commands runs: help appears at once.
"""

from importlib import import_module

import typer
from typer.core import TyperGroup
from typer.main import get_command

from controlplane.cli import demo, fleet, services

# The module of each group, which calls its Typer `app`, and what help says of it.
_IMPORTED_LATE = {
    "namespace": ("controlplane.cli.namespaces", "Create, look at and delete namespaces."),
    "operation": ("controlplane.cli.operations", "Watch what is being done."),
    "certs": ("controlplane.cli.certs", "Make an authority and client certificates."),
}


class LateImports(TyperGroup):
    """Knows the groups of `_IMPORTED_LATE` by name, and imports one when it is called."""

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]  # Click's, vendored.
        name, command, rest = super().resolve_command(ctx, args)
        if name in _IMPORTED_LATE:
            module, _ = _IMPORTED_LATE[name]
            command = get_command(import_module(module).app)
            command.name = name
        return name, command, rest


def build() -> typer.Typer:
    """Return the whole command."""
    app = typer.Typer(
        cls=LateImports,
        help="A self-hosted control plane for fleets of Temporal clusters.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,  # They may hold secrets.
    )
    app.add_typer(demo.app)
    app.add_typer(fleet.app)
    for name, (_, help_text) in _IMPORTED_LATE.items():
        app.add_typer(typer.Typer(help=help_text), name=name)
    app.add_typer(services.app)
    return app
