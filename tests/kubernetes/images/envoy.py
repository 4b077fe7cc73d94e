"""The configuration of an Envoy in a container, brought to this machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controlplane.local.ports import LOOPBACK
from tests.kubernetes.start import Start

_CONFIG = ("-c", "--config-path")


def arguments_here(start: Start) -> list[str]:
    """Return Envoy's arguments, with a copy of its configuration whose addresses are those here."""
    arguments = list(start.command[1:])
    for place, word in enumerate(arguments):
        name, _, value = word.partition("=")
        if name in _CONFIG:
            at = place if value else place + 1
            file = Path(value or arguments[at])
            if not file.exists():
                continue  # Envoy says so itself.
            here = str(_brought_here(file, start))
            arguments[at] = f"{name}={here}" if value else here
    return arguments


def _brought_here(file: Path, start: Start) -> Path:
    configuration = json.loads(file.read_text())
    resources = configuration.get("static_resources", {})
    bound = [*resources.get("listeners", []), configuration.get("admin", {})]
    own = {
        socket["port_value"]
        for listener in bound
        for socket in _sockets(listener.get("address", {}))
    }
    for socket in _sockets(configuration):
        host, port = socket["address"], socket["port_value"]
        if host == LOOPBACK and port in own:  # Within the pod.
            socket["port_value"] = start.places.ports.here(port)
        else:
            socket["address"], socket["port_value"] = start.places.reached(host, port)
    here = start.folder / "envoy.json"
    here.write_text(json.dumps(configuration, indent=1))
    return here


def _sockets(value: Any) -> Iterator[dict[str, Any]]:
    """Return every address and port in the configuration."""
    if isinstance(value, dict):
        if "address" in value and "port_value" in value:
            yield value
        for part in value.values():
            yield from _sockets(part)
    elif isinstance(value, list):
        for part in value:
            yield from _sockets(part)
