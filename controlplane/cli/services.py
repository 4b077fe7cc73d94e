"""The control plane's own processes, as a supervisor starts them."""

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(hidden=True)
def worker() -> None:
    """Run a worker until told to stop."""
    from cells.runtime.absent import AbsentRuntime
    from controlplane.local.control_plane import RUNTIME_HOME_VARIABLE
    from controlplane.local.home import Home
    from controlplane.local.runtime import LocalRuntime
    from controlplane.worker import main

    home = os.environ.get(RUNTIME_HOME_VARIABLE)
    main(LocalRuntime(Home(Path(home))) if home else AbsentRuntime())


@app.command(hidden=True)
def api() -> None:
    """Run the API until told to stop."""
    from controlplane.api import main

    main()


@app.command(hidden=True)
def dns(configuration: Annotated[Path, typer.Argument(help="Its JSON file.")]) -> None:
    """Run the embedded fleet's DNS server until told to stop."""
    from controlplane.local.dns.server import run

    run(configuration)
