"""Whom an ingress passes requests on to: processes of its own cell, and the ingresses of peers.

A peer is another cell, reached at its ingress as a client would reach it: TLS by the namespace's
server name, whose certificate must be one of that name. What shows that it is a cell that calls,
and not a tenant, is the certificate it has for that alone. A connection serves one server name.
"""

from pathlib import Path

from cells.ingress.http_filters import TYPE, Json

FRONTEND = "frontend"
GATEKEEPER = "gatekeeper"
KEY_CHECKS = "gatekeeper_key_checks"
"""The gatekeeper too, apart: however many requests wait there, connections do not wait for them."""

# tenant.lua writes it, and nothing that a client sends under its name.
SERVER_NAME_HEADER = "x-ingress-server-name"

BUFFER_BYTES = 8 << 20
"""A request of 4 MiB has to fit whole into every buffer on its way."""
HTTP2: Json = {
    "initial_stream_window_size": BUFFER_BYTES,
    "initial_connection_window_size": 2 * BUFFER_BYTES,
}

_MOST_REQUESTS = 1_000_000
_MOST_CONNECTIONS = 50_000
_PEER_IDLE = "240s"
"""Less than a peer leaves a connection idle: we are the ones to close it, with nothing under
way."""

_CERTIFICATE_FILE, _AUTHORITIES_FILE = "peer-certificate.json", "peer-authorities.json"


def cluster(name: str, address: Json) -> Json:
    """Return a process of this cell, which is trusted for where it is."""
    return _cluster(name, address, _options())


def peer_name(cell: str) -> str:
    """Return the name of a peer's cluster."""
    return f"peer/{cell}"


def peer_cluster(cell: str, ingress: str, folder: Path) -> Json:
    """Return the ingress (`host:port`) of another cell. `folder` is where Envoy finds the files
    that `peer_secrets` are written to."""
    server_names: Json = {
        "auto_sni": True,
        "auto_san_validation": True,
        "override_auto_sni_header": SERVER_NAME_HEADER,
    }
    options = _options(
        # A peer that is gone without a word.
        http2={"connection_keepalive": {"interval": "10s", "timeout": "10s"}},
        common_http_protocol_options={"idle_timeout": _PEER_IDLE},
        upstream_http_protocol_options=server_names,
    )
    return {
        **_cluster(peer_name(cell), socket_address(ingress), options),
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                # Every connection proves itself to the peer's gatekeeper anew.
                "max_session_keys": 0,
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                    "tls_certificate_sds_secret_configs": [
                        _from_file("peer_certificate", folder / _CERTIFICATE_FILE)
                    ],
                    "validation_context_sds_secret_config": _from_file(
                        "peer_authorities", folder / _AUTHORITIES_FILE
                    ),
                },
            },
        },
    }


def peer_secrets(certificate: Path, authorities: Path) -> dict[str, Json]:
    """Return, by file name, what tells Envoy which certificate (with its key, PEM) peers are shown,
    and which authorities vouch for theirs. It follows both files when they are replaced, also by
    swapping a folder that they are links into."""
    shown: Json = {
        "certificate_chain": {"filename": str(certificate)},
        "private_key": {"filename": str(certificate)},
    }
    trusted: Json = {"trusted_ca": {"filename": str(authorities)}}
    return {
        _CERTIFICATE_FILE: _secret("peer_certificate", tls_certificate=shown),
        _AUTHORITIES_FILE: _secret("peer_authorities", validation_context=trusted),
    }


def socket_address(host_port: str) -> Json:
    host, _, port = host_port.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _cluster(name: str, address: Json, options: Json) -> Json:
    limits: Json = {
        # Each long poll is a request under way; Envoy's default is 1,024 of them in all.
        "max_requests": _MOST_REQUESTS,
        "max_pending_requests": _MOST_REQUESTS,
        "max_connections": _MOST_CONNECTIONS,
    }
    return {
        "name": name,
        "type": "STRICT_DNS" if "socket_address" in address else "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [limits]},
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _options(*, http2: Json | None = None, **options: Json) -> Json:
    return {
        "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {**HTTP2, **(http2 or {})}},
        **options,
    }


def _from_file(name: str, file: Path) -> Json:
    source: Json = {"path_config_source": {"path": str(file)}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def _secret(name: str, **content: Json) -> Json:
    secret = TYPE + "envoy.extensions.transport_sockets.tls.v3.Secret"
    return {"resources": [{"@type": secret, "name": name, **content}]}
