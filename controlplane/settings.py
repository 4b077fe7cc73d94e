"""Settings of the control plane's processes, read once from the environment.

The engine is found through Temporal's own client configuration (`TEMPORAL_ADDRESS`,
`TEMPORAL_NAMESPACE`, profiles; see `temporalio.envconfig`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path

CELL_PREFIX = 16
"""The length of the prefix of each cell's network."""


@dataclass(frozen=True)
class Settings:
    """What the worker and the API need to know. Secrets are not here but in the secret store."""

    database_url: str
    """A libpq URL of the control plane's database, without password."""
    secrets_dir: Path
    secrets_key_file: Path
    zone: str
    """The DNS zone under which every endpoint has its name, without a trailing dot."""
    dns_servers: tuple[str, ...]
    """The zone's authoritative servers, each `ip:port`; the first takes the updates."""
    regions: tuple[str, ...]
    """The regions in which this worker acts."""
    build_id: str | None
    """The version under which the worker joins its deployment; None runs it unversioned."""
    prometheus_url: str = ""
    """Where the metrics of all cells are asked for; empty when nobody keeps them."""
    prometheus_ca_file: Path | None = None
    """PEM: who signs its certificate, where that is not a public authority."""
    prometheus_resolution: timedelta = timedelta(seconds=15)
    """How often it scrapes cells."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read `CONTROLPLANE_…` variables; a missing one raises ValueError naming it."""
        return cls(
            database_url=_required(env, "CONTROLPLANE_DATABASE_URL"),
            secrets_dir=Path(_required(env, "CONTROLPLANE_SECRETS_DIR")),
            secrets_key_file=Path(_required(env, "CONTROLPLANE_SECRETS_KEY_FILE")),
            zone=_required(env, "CONTROLPLANE_ZONE"),
            dns_servers=tuple(_required(env, "CONTROLPLANE_DNS_SERVERS").split(",")),
            regions=tuple(_required(env, "CONTROLPLANE_REGIONS").split(",")),
            build_id=env.get("CONTROLPLANE_BUILD_ID"),
            prometheus_url=env.get("CONTROLPLANE_PROMETHEUS_URL", ""),
            prometheus_ca_file=_path(env, "CONTROLPLANE_PROMETHEUS_CA_FILE"),
            prometheus_resolution=_seconds(env, "CONTROLPLANE_PROMETHEUS_SCRAPE_SECONDS", 15),
        )


@dataclass(frozen=True)
class ApiSettings:
    """Where the API listens, and what it holds tenants to."""

    grpc_listen: str
    """Plaintext gRPC, `host:port`; keep it on loopback."""
    tls_listen: str
    """gRPC over TLS, `host:port`."""
    http_listen: str
    """The Fleet API, `host:port`."""
    replica_cooldown: timedelta = timedelta(days=7)
    """How long a namespace does not return to a region of which it removed its replica (Temporal
    Cloud, "High Availability")."""
    cell_networks: tuple[IPv4Network, ...] = (IPv4Network("10.64.0.0/10"),)
    """The ranges from which each cell in a cloud gets a network of its own, a /16."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "ApiSettings":
        """Read `CONTROLPLANE_API_…` variables, CONTROLPLANE_REPLICA_COOLDOWN, a number of days, and
        CONTROLPLANE_CELL_NETWORKS; a missing one raises ValueError naming it."""
        return cls(
            grpc_listen=_required(env, "CONTROLPLANE_API_GRPC_LISTEN"),
            tls_listen=_required(env, "CONTROLPLANE_API_TLS_LISTEN"),
            http_listen=_required(env, "CONTROLPLANE_API_HTTP_LISTEN"),
            replica_cooldown=_days(env, "CONTROLPLANE_REPLICA_COOLDOWN", 7),
            cell_networks=_networks(env, "CONTROLPLANE_CELL_NETWORKS") or cls.cell_networks,
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise ValueError(f"{name} is not set")
    return value


def _path(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name)
    return Path(value) if value else None


def _seconds(env: Mapping[str, str], name: str, default: int) -> timedelta:
    text = env.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 3600:
        raise ValueError(f"{name} is {text!r}: write a whole number of seconds, 1 to 3600")
    return timedelta(seconds=int(text))


def _networks(env: Mapping[str, str], name: str) -> tuple[IPv4Network, ...]:
    """Read private ranges, each large enough for one cell at least."""
    found = []
    for text in filter(None, env.get(name, "").split(",")):
        try:
            network = IPv4Network(text.strip())
        except ValueError as error:
            raise ValueError(f"{name} has {text!r}: {error}; write it like 10.64.0.0/10") from None
        if network.prefixlen > CELL_PREFIX:
            raise ValueError(
                f"{name} has {network}: each cell takes a /{CELL_PREFIX}, so write a larger "
                "range, like 10.64.0.0/10"
            )
        found.append(network)
    return tuple(found)


def _days(env: Mapping[str, str], name: str, default: int) -> timedelta:
    text = env.get(name) or str(default)
    if not text.isdecimal() or int(text) > 3650:
        raise ValueError(f"{name} is {text!r}: write a whole number of days, 0 to 3650")
    return timedelta(days=int(text))
