"""`controlplane signing-key`: the keys that sign API keys, for whoever runs the control plane."""

import os
from pathlib import Path
from typing import Annotated

import typer
from temporalio.exceptions import ApplicationError

from controlplane.cli.command import command, example, group
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet import HomeOption
from controlplane.cli.output import OutputFormat, OutputOption, print_json, results, table
from controlplane.identity.signing_keys import (
    load_signer,
    retire_signing_key,
    rotate_signing_key,
)
from controlplane.local.control_plane import service_environment
from controlplane.local.home import Home
from controlplane.secrets.file import FileSecretStore
from controlplane.settings import Settings
from controlplane.store.pool import database_conninfo

_SETTINGS = "CONTROLPLANE_DATABASE_URL"

app = group()


@app.command("list")
@command
async def list_signing_keys(
    home: HomeOption = None, output: OutputOption = OutputFormat.TABLE
) -> None:
    """List the signing keys whose API keys count."""
    ring = (await load_signer(_secrets(_settings(home)))).ring
    keys = {ring.current.key_id: "current"} | dict.fromkeys(sorted(ring.former), "former")
    if output is OutputFormat.JSON:
        print_json([{"id": key, "state": state} for key, state in keys.items()])
        return
    rows = table("ID", "STATE")
    for key, state in keys.items():
        rows.add_row(key, state)
    results().print(rows)


@app.command(
    epilog=example(
        "controlplane signing-key rotate",
        "controlplane signing-key retire ID    # once all clients have new API keys",
    )
)
@command
async def rotate(home: HomeOption = None, output: OutputOption = OutputFormat.TABLE) -> None:
    """Sign new API keys with a new key; those signed before go on being valid.

    The API, the worker and the cells learn of it within seconds. Prints the new key's id.
    """
    settings = _settings(home)
    secrets = _secrets(settings)
    key = await rotate_signing_key(await database_conninfo(settings, secrets), secrets)
    if output is OutputFormat.JSON:
        print_json({"id": key})
    else:
        results().print(key, markup=False)


@app.command()
@command
async def retire(
    key: Annotated[str, typer.Argument(metavar="ID", help="A former key.", show_default=False)],
    home: HomeOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """End every API key that a former signing key has signed."""
    settings = _settings(home)
    secrets = _secrets(settings)
    try:
        await retire_signing_key(await database_conninfo(settings, secrets), secrets, key)
    except ApplicationError as refusal:
        raise CommandFailed(refusal.message) from refusal
    if output is OutputFormat.JSON:
        print_json({"id": key})


def _settings(home: Path | None) -> Settings:
    """Return those of the environment, as the control plane's own processes have them, or those of
    an embedded fleet."""
    if home is None and os.environ.get(_SETTINGS):
        return Settings.from_env()
    chosen = Home.choose(home)
    return Settings.from_env(service_environment(chosen, chosen.load()))


def _secrets(settings: Settings) -> FileSecretStore:
    return FileSecretStore(settings.secrets_dir, settings.secrets_key_file)
