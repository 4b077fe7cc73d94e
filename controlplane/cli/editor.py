"""Texts that people change in the editor of their choice."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.cli.failures import CommandFailed

USUAL_EDITOR = "vi"


@contextmanager
def edited(text: str, suffix: str) -> Iterator[str]:
    """Let the text be changed, and give it to the block; what the block refuses is kept in a file.

    Raise CommandFailed when there is no editor, or when it does not end well.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or USUAL_EDITOR
    with tempfile.NamedTemporaryFile("w", suffix=suffix, delete=False) as opened:
        opened.write(text)
    file = Path(opened.name)
    try:
        subprocess.run([*shlex.split(editor), str(file)], check=True)
        changed = file.read_text()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        file.unlink(missing_ok=True)
        raise CommandFailed(f"the editor {editor!r} did not do: {error}. Set EDITOR") from error
    try:
        yield changed
    except CommandFailed as refusal:
        if changed == text:
            file.unlink(missing_ok=True)
            raise
        message = f"{refusal}. What you wrote is kept in {file}"
        raise type(refusal)(message) from refusal
    file.unlink(missing_ok=True)
