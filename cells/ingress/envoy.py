"""One static Envoy configuration per cell, the same whatever namespaces the cell has.

Per connection: TLS with the certificate of the name asked for, which the gatekeeper delivers on
demand; a client certificate, if the client has one, whose possession TLS proves and whose trust the
gatekeeper judges (Envoy passes it the leaf alone). Who is refused gets a TLS alert. Per request:
`cells.ingress.http_filters`. Adding, changing or deleting a namespace changes nothing here.

Sessions are not resumed, so that every connection proves itself to the gatekeeper anew.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cells.ingress.descriptors import descriptor_set
from cells.ingress.durable_file import replace_file
from cells.ingress.http_filters import TYPE, Json, http_filters, local_replies
from cells.ingress.policies import AUTHORITY_HEADER, CERTIFICATE_HEADER
from cells.ingress.records import LONGEST_CONNECTION

_GATEKEEPER = "gatekeeper"
_KEY_CHECKS = "gatekeeper_key_checks"
"""The gatekeeper too, apart: however many requests wait there, connections do not wait for them."""
_FRONTEND = "frontend"

_MOST_CONNECTIONS = 50_000
_MOST_REQUESTS = 1_000_000

# A request of 4 MiB has to fit whole into every buffer on its way.
_BUFFER_BYTES = 8 << 20
_HTTP2: Json = {
    "initial_stream_window_size": _BUFFER_BYTES,
    "initial_connection_window_size": 2 * _BUFFER_BYTES,
}


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
    replace_file(config.bootstrap_file, json.dumps(bootstrap(config), indent=1).encode())
    return config.bootstrap_file


def bootstrap(config: IngressConfig) -> Json:
    """Return Envoy's bootstrap; equal configurations give equal bytes when written as JSON."""
    return {
        "node": {"id": config.cell, "cluster": "ingress"},
        "admin": {"address": _address(config.admin)},
        "overload_manager": {"resource_monitors": [_connection_limit()]},
        "dynamic_resources": {"ads_config": _discovery()},
        "static_resources": {
            "listeners": [_listener(config)],
            "clusters": [
                _cluster(_FRONTEND, _address(config.frontend)),
                _cluster(_GATEKEEPER, {"pipe": {"path": str(config.gatekeeper_socket)}}),
                _cluster(_KEY_CHECKS, {"pipe": {"path": str(config.gatekeeper_socket)}}),
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
                    "cluster_name": _GATEKEEPER,
                    # By default a restarted gatekeeper might be found after 30 s only.
                    "retry_policy": {
                        "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}
                    },
                }
            }
        ],
    }


def _listener(config: IngressConfig) -> Json:
    return {
        "name": "ingress",
        "address": _address(config.listen),
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
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
            "grpc_service": {"envoy_grpc": {"cluster_name": _GATEKEEPER}, "timeout": "2s"},
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
                **_HTTP2,
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
            "local_reply_config": local_replies(),
            "route_config": {
                # What the ingress alone needs to know ends here; an API key above all.
                "request_headers_to_remove": [
                    "authorization",
                    CERTIFICATE_HEADER,
                    AUTHORITY_HEADER,
                ],
                "virtual_hosts": [
                    {
                        "name": "temporal",
                        "domains": ["*"],
                        "routes": [
                            {
                                "match": {"prefix": "/"},
                                "route": {
                                    "cluster": _FRONTEND,
                                    "timeout": "0s",
                                    # The client's own deadline, however long, is the one.
                                    "max_stream_duration": {"grpc_timeout_header_max": "0s"},
                                },
                            }
                        ],
                    }
                ],
            },
            "http_filters": http_filters(config.descriptor_file, _KEY_CHECKS),
        },
    }


def _cluster(name: str, address: Json) -> Json:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": name,
        "type": "STRICT_DNS" if "socket_address" in address else "STATIC",
        "connect_timeout": "1s",
        # Each long poll is a request under way; Envoy's default is 1,024 of them in all.
        "circuit_breakers": {"thresholds": [{"max_requests": _MOST_REQUESTS}]},
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "typed_extension_protocol_options": {
            options: {
                "@type": TYPE + options,
                "explicit_http_config": {"http2_protocol_options": _HTTP2},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _address(host_port: str) -> Json:
    host, _, port = host_port.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}
