"""One static Envoy configuration per cell, the same whatever namespaces the cell has.

Per connection: TLS with the certificate of the name asked for, which the gatekeeper delivers on
demand; a client certificate, if the client has one, whose possession TLS proves and whose trust the
gatekeeper judges (Envoy passes it the leaf alone). Who is refused gets a TLS alert. Per request:
`cells.ingress.http_filters`, then `cells.ingress.routes`. Adding, changing or deleting a namespace
changes nothing here.

Sessions are not resumed, so that every connection proves itself to the gatekeeper anew.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cells.ingress.clusters import (
    BUFFER_BYTES,
    FRONTEND,
    GATEKEEPER,
    HTTP2,
    KEY_CHECKS,
    cluster,
    peer_secrets,
    socket_address,
)
from cells.ingress.descriptors import descriptor_set
from cells.ingress.durable_file import replace_file
from cells.ingress.http_filters import TYPE, Json, http_filters, refusals
from cells.ingress.records import LONGEST_CONNECTION
from cells.ingress.routes import discovered_routes, unroutable

_MOST_CONNECTIONS = 50_000


@dataclass(frozen=True)
class ConnectionLimits:
    """How long a client may keep a connection."""

    age: timedelta = timedelta(hours=1)
    """How long a client can keep a connection that it would not get any more: because its
    certificate has expired, or no certificate filter matches it now. (What is revoked is refused at
    once: `policies`.) Then the connection is drained: new requests go to a new connection, while
    open ones, long polls too, finish."""
    idle: timedelta = timedelta(minutes=5)
    """How long without a request. The gatekeeper is asked when a client first says something, so
    this is also how long somebody unknown can hold a connection by saying nothing."""

    def __post_init__(self) -> None:
        if self.age > LONGEST_CONNECTION:
            raise ValueError(f"a connection's age is {self.age}, allowed are {LONGEST_CONNECTION}")


@dataclass(frozen=True)
class IngressConfig:
    """Where one cell's Envoy listens, and whom it talks to."""

    cell: str
    listen: str
    """What clients reach, `host:port`."""
    admin: str
    """Envoy's administration interface, `host:port`; keep it on loopback."""
    frontend: str
    """The cell's Temporal frontend, `host:port`."""
    gatekeeper_socket: Path
    """The gatekeeper's Unix socket, in a folder that only its owner enters: keys travel there."""
    folder: Path
    """Where `write` keeps the configuration."""
    peer_certificate_file: Path
    """PEM: the certificate that other cells know this one by, and its private key."""
    endpoint_ca_file: Path
    """PEM: the CA that signs the endpoints' server certificates, in every cell."""
    limits: ConnectionLimits = ConnectionLimits()

    @property
    def bootstrap_file(self) -> Path:
        return self.folder / "envoy.json"

    @property
    def descriptor_file(self) -> Path:
        return self.folder / "workflowservice.pb"


def write(config: IngressConfig) -> Path:
    """Write the configuration to its folder, and return the file to start Envoy with."""
    config.folder.mkdir(parents=True, exist_ok=True)
    replace_file(config.descriptor_file, descriptor_set())
    for name, secret in peer_secrets(config.peer_certificate_file, config.endpoint_ca_file).items():
        replace_file(config.folder / name, json.dumps(secret, indent=1).encode())
    replace_file(config.bootstrap_file, json.dumps(bootstrap(config), indent=1).encode())
    return config.bootstrap_file


def bootstrap(config: IngressConfig) -> Json:
    """Return Envoy's bootstrap; equal configurations give equal bytes when written as JSON."""
    return {
        "node": {"id": config.cell, "cluster": "ingress"},
        "admin": {"address": socket_address(config.admin)},
        "overload_manager": {"resource_monitors": [_connection_limit()]},
        "dynamic_resources": {"ads_config": _discovery(), "cds_config": _peers()},
        "static_resources": {
            "listeners": [_listener(config)],
            "clusters": [
                cluster(FRONTEND, socket_address(config.frontend)),
                cluster(GATEKEEPER, {"pipe": {"path": str(config.gatekeeper_socket)}}),
                cluster(KEY_CHECKS, {"pipe": {"path": str(config.gatekeeper_socket)}}),
            ],
        },
    }


def _connection_limit() -> Json:
    monitor = "envoy.extensions.resource_monitors.downstream_connections.v3."
    return {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": TYPE + monitor + "DownstreamConnectionsConfig",
            "max_active_downstream_connections": _MOST_CONNECTIONS,
        },
    }


def _discovery() -> Json:
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [
            {
                "envoy_grpc": {
                    "cluster_name": GATEKEEPER,
                    # By default a restarted gatekeeper might be found after 30 s only.
                    "retry_policy": {
                        "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}
                    },
                }
            }
        ],
    }


def _peers() -> Json:
    # Envoy starts without its gatekeeper.
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "1s"}


def _listener(config: IngressConfig) -> Json:
    return {
        "name": "ingress",
        "address": socket_address(config.listen),
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [
            {
                "transport_socket": _downstream_tls(),
                # Bounds a handshake that waits for a gatekeeper which is away.
                "transport_socket_connect_timeout": "10s",
                "filters": [_ask_gatekeeper(), _http(config)],
            }
        ],
    }


def _downstream_tls() -> Json:
    tls = "envoy.extensions.transport_sockets.tls."
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": TYPE + tls + "v3.DownstreamTlsContext",
            # The gatekeeper refuses whoever needs a certificate and has none.
            "require_client_certificate": False,
            "require_sni": True,
            # A ticket would carry its connection's identity past the removal of a CA.
            "disable_stateless_session_resumption": True,
            "disable_stateful_session_resumption": True,
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                # No trusted CA: its name would be sent to clients, and some then withhold a
                # certificate that another CA has issued.
                "validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"},
                "custom_tls_certificate_selector": {
                    "name": "envoy.tls.certificate_selectors.on_demand_secret",
                    "typed_config": {
                        "@type": TYPE + tls + "cert_selectors.on_demand_secret.v3.Config",
                        "config_source": {"ads": {}, "resource_api_version": "V3"},
                        "certificate_mapper": {
                            "name": "envoy.tls.certificate_mappers.sni",
                            "typed_config": {
                                "@type": TYPE + tls + "cert_mappers.sni.v3.SNI",
                                "default_value": "-",
                            },
                        },
                    },
                },
            },
        },
    }


def _ask_gatekeeper() -> Json:
    return {
        "name": "envoy.filters.network.ext_authz",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
            "stat_prefix": "gatekeeper",
            "transport_api_version": "V3",
            "include_peer_certificate": True,
            "include_tls_session": True,
            "send_tls_alert_on_denial": True,
            "failure_mode_allow": False,
            "grpc_service": {"envoy_grpc": {"cluster_name": GATEKEEPER}, "timeout": "2s"},
        },
    }


def _http(config: IngressConfig) -> Json:
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": TYPE + manager,
            "stat_prefix": "ingress",
            "codec_type": "HTTP2",
            "use_remote_address": True,
            "http2_protocol_options": {
                **HTTP2,
                "connection_keepalive": {"interval": "30s", "timeout": "10s"},
            },
            "common_http_protocol_options": {
                "max_connection_duration": f"{config.limits.age.total_seconds()}s",
                "idle_timeout": f"{config.limits.idle.total_seconds()}s",
            },
            # A long poll is silent for a minute; what must come promptly is the request.
            "stream_idle_timeout": "0s",
            "request_headers_timeout": "10s",
            "request_timeout": "60s",
            "local_reply_config": {"mappers": [*refusals(), *unroutable()]},
            "rds": discovered_routes(),
            "http_filters": http_filters(config.descriptor_file, KEY_CHECKS),
        },
    }
