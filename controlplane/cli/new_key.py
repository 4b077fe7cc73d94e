"""A new API key on its way to whoever asked for it. It is shown once."""

from pathlib import Path

import typer
from temporalio.api.cloud.cloudservice.v1 import CreateApiKeyResponse

from controlplane.cli.failures import CommandFailed
from controlplane.cli.output import OutputFormat, notes, print_message
from controlplane.secrets import private_file


def hand_over(created: CreateApiKeyResponse, out: Path | None, output: OutputFormat) -> None:
    """Print the key, or write it to the file and print what is known of it."""
    if not created.token:
        notes().print(
            f"Key {created.key_id} was created by an earlier request under this operation id, "
            "and shown then. If nobody has it, delete it and create another.",
            markup=False,
        )
    elif out is not None:
        try:
            written = private_file.create(out, f"{created.token}\n".encode())
        except OSError as error:
            raise _lost(created, f"cannot write {out}: {error.strerror}") from error
        if not written:
            raise _lost(created, f"{out} exists")
        created.ClearField("token")
        notes().print(f"The key is in {out}; keep it to yourself.", markup=False)
    if output is OutputFormat.JSON:
        print_message(created)
    elif created.token:
        typer.echo(created.token)
        notes().print(f"This is key {created.key_id}; it is shown this once.", markup=False)
    else:
        typer.echo(created.key_id)


def _lost(created: CreateApiKeyResponse, why: str) -> CommandFailed:
    return CommandFailed(
        f"{why}, and so nobody has the key that was created: delete it with "
        f"`controlplane apikey delete {created.key_id}`, then create another"
    )
