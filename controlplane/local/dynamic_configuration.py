"""Whether a server knows the dynamic configuration of a release, asked of its own program."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cells.release import ConfigValue
from controlplane.local.ports import assign_ports
from controlplane.local.temporal_server import TemporalPorts, cell_command, server_environment
from controlplane.local.waiting import WORKFLOW_SERVICE, is_serving, until

_BLOCK_BYTES = 4 << 20
_REHEARSAL_SECONDS = 20.0
_REFUSAL = b"Failed to convert value, using default"


async def unusable(program: Path, configuration: Mapping[str, ConfigValue]) -> Sequence[str]:
    """Say which keys the server does not have, and which values it does not take.

    A server ignores both at its start, and says nothing of the former at all.
    """
    if not configuration:
        return []
    unknown = await asyncio.to_thread(_unknown_keys, program, list(configuration))
    if unknown:
        return [f"the server knows no dynamic configuration {key!r}" for key in unknown]
    return await _refused_values(program, configuration)


def _unknown_keys(program: Path, keys: list[str]) -> list[str]:
    """Return the keys that the program does not contain, whose settings have their names in it."""
    missing = {key.lower().encode(): key for key in keys}
    overlap = max(map(len, missing))
    before = b""
    with program.open("rb") as file:
        while missing and (block := file.read(_BLOCK_BYTES)):
            text = (before + block).lower()
            missing = {name: key for name, key in missing.items() if name not in text}
            before = block[-overlap:]
    return list(missing.values())


async def _refused_values(program: Path, configuration: Mapping[str, ConfigValue]) -> list[str]:
    """Start the server on a database of no worth, and read what it says about the values.

    It tells of those that it looks at until it serves. Whether it comes up is not asked: that only
    a cell with its own data can tell.
    """
    ports = TemporalPorts(**assign_ports(["frontend", "http", "metrics"], {}))
    with (
        tempfile.TemporaryDirectory(prefix="rehearsal-") as folder,
        tempfile.TemporaryFile() as log,
    ):
        server = await asyncio.create_subprocess_exec(
            *cell_command(Path(folder) / "temporal.db", ports, program, configuration),
            env={"PATH": os.defpath, **server_environment(Path(folder))},
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )

        async def serving_or_dead() -> bool:
            return server.returncode is not None or await is_serving(
                ports.address, WORKFLOW_SERVICE
            )

        try:
            with contextlib.suppress(TimeoutError):
                await until(serving_or_dead, "serving or dead", _REHEARSAL_SECONDS)
        finally:
            if server.returncode is None:
                server.kill()
            await server.wait()
        log.seek(0)
        refused = dict(filter(None, map(_refusal, log)))
    return [
        f"the server does not take {json.dumps(value)} for {key!r}: {refused[key.lower()]}"
        for key, value in configuration.items()
        if key.lower() in refused
    ]


def _refusal(line: bytes) -> tuple[str, str] | None:
    """Return the key, in lower case, and the reason, of a line that tells of an unusable value."""
    if _REFUSAL not in line:
        return None
    told = json.loads(line)
    return told["key"].lower(), told["error"]
