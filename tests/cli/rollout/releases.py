"""Releases to roll out, each of a name that no other test has."""

import json
from uuid import uuid4

from tests.cli.command import Cli


async def release(cli: Cli, server_version: str = "1.31.2", *options: str) -> str:
    """Create a release by command and return its name."""
    name = f"r-{uuid4().hex[:8]}"
    made = await cli.run("release", "create", name, "--server-version", server_version, *options)
    assert made.exit_code == 0, made.stderr
    return name


async def started(cli: Cli, *options: str) -> str:
    """Begin a rollout of a new release by command and return its id."""
    name = await release(cli)
    begun = await cli.run(
        *("rollout", "start", name, "--reason", "it is time", "--yes", "-o", "json"), *options
    )
    assert begun.exit_code == 0, begun.stderr
    found: str = json.loads(begun.stdout)["id"]
    return found
