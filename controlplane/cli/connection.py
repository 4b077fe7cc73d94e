"""Where the API is and as whom to call it: from options, the environment, or the home's fleet."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.failures import UsageError

AddressOption = Annotated[
    str | None,
    typer.Option(
        help="gRPC address of the API, host:port (or CONTROLPLANE_ADDRESS). TLS is spoken to "
        "https://host:port and to every host but this one.",
        show_default=False,
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        help="URL of the Fleet API, which goes with --address (or CONTROLPLANE_URL).",
        show_default=False,
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        help="API key (or, better, CONTROLPLANE_API_KEY: others can read command lines).",
        show_default=False,
    ),
]

_TLS_SCHEME = "https://"

HOW_TO_CONNECT = (
    "Start an embedded fleet with `controlplane up`, "
    'or name the API with `eval "$(controlplane env)"`.'
)


@dataclass(frozen=True)
class Connection:
    """An API and the key to call it with."""

    address: str
    """gRPC, `host:port`."""
    tls: bool
    api_key: str = field(repr=False)
    url: str | None
    """The Fleet API; None when only the gRPC address is known."""
    ca_file: Path | None
    """The CA of the API's and the endpoints' server certificates; None means the system's."""


async def resolve(
    address: str | None,
    url: str | None,
    api_key: str | None,
    *,
    env: Mapping[str, str] = os.environ,
) -> Connection:
    """Return the connection that the options name, else `env`, else the fleet of the home.

    What belongs to one API is never sent to another: an address of its own needs its own URL.
    """
    source = env
    if not address and not env.get("CONTROLPLANE_ADDRESS"):
        source = await _fleet_of_home(env)
    chosen = address or source["CONTROLPLANE_ADDRESS"]
    key = api_key or env.get("CONTROLPLANE_API_KEY") or source.get("CONTROLPLANE_API_KEY")
    if not key:
        raise UsageError(
            f"no API key for {chosen}: CONTROLPLANE_API_KEY is not set. {HOW_TO_CONNECT}"
        )
    ca_file = source.get("CONTROLPLANE_CA_FILE")
    where = chosen.removeprefix(_TLS_SCHEME)
    return Connection(
        where,
        # An API key crosses no network without TLS.
        where != chosen or not _is_loopback(where.rpartition(":")[0]),
        key,
        url or (None if address else source.get("CONTROLPLANE_URL")),
        Path(ca_file) if ca_file else None,
    )


def nothing_answers(address: str) -> str:
    """Say that there is no control plane at `address`, and what to do."""
    return f"no control plane answers at {address}. {HOW_TO_CONNECT}"


async def _fleet_of_home(env: Mapping[str, str]) -> Mapping[str, str]:
    # Imported here because it takes as long as all the rest together.
    from controlplane.local.failures import FleetFailed
    from controlplane.local.fleet import Fleet
    from controlplane.local.home import Home

    try:
        return await Fleet(Home.choose(None, env)).exports()
    except FleetFailed as refusal:
        raise UsageError(
            f"no API to talk to: CONTROLPLANE_ADDRESS is not set, and {refusal}"
        ) from refusal


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
