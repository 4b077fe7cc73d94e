"""`controlplane demo`: see it all work on this machine."""

import typer

from controlplane.cli.fleet import HomeOption

app = typer.Typer()


@app.command()
def demo(home: HomeOption = None) -> None:
    """Start a fleet, create a namespace, complete a workflow in it, refuse a stranger."""
    from controlplane.cli.demo_story import play

    play(home=home)
