"""What a worker needs to connect to a namespace."""

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.service import TLSConfig

from controlplane.cli.failures import CommandFailed
from controlplane.cli.output import Json
from provisioning.certificates import bundle
from provisioning.certificates.bundle import CaCertificate
from provisioning.certificates.x509 import CertificateAndKey

LOOPBACK = "127.0.0.1"
API_KEY_VARIABLE = "CONTROLPLANE_API_KEY"
"""Where the shell has the API key: what is printed names it, and never holds the key."""


@dataclass(frozen=True)
class WorkerConnection:
    """An endpoint and how to be let in."""

    namespace: str
    endpoint: str
    """The endpoint by its name, `host:port`."""
    ca_file: Path | None
    """The CA of the endpoint's certificate; None means the system's."""
    authorities: tuple[CaCertificate, ...]
    """A client certificate has to be signed by one of them, or by the namespace's managed CA if
    there are none,"""
    filters: tuple[str, ...]
    """and to match one of these, if there are any."""
    client_cert: Path | None = None
    client_key: Path | None = None
    with_api_key: bool = False
    """Whether an API key is shown instead of a certificate."""

    @property
    def server_name(self) -> str:
        return self.endpoint.rpartition(":")[0]

    @property
    def address(self) -> str:
        """What to dial. A zone under `.test` has names that no resolver knows (RFC 6761)."""
        host, _, port = self.endpoint.rpartition(":")
        return f"{LOOPBACK}:{port}" if host.endswith(".test") else self.endpoint

    def tls(self, certificate: CertificateAndKey | None) -> TLSConfig:
        """Return the TLS settings of a client that shows this certificate, or none."""
        return TLSConfig(
            server_root_ca_cert=self.ca_file.read_bytes() if self.ca_file else None,
            domain=self.server_name,
            client_cert=certificate.certificate_pem if certificate else None,
            client_private_key=certificate.key_pem if certificate else None,
        )


def worker_connection(
    namespace: Namespace,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    *,
    with_api_key: bool = False,
) -> WorkerConnection:
    """Return how to connect to the namespace: with an API key, where no certificate gets in.

    Raise CommandFailed while it has no endpoint, and for a way that it lets nobody in by.
    """
    spec, endpoints = namespace.spec, namespace.endpoints
    with_api_key = with_api_key or not (spec.mtls_auth.enabled or client_cert)
    _check_way(namespace, with_api_key)
    endpoint = endpoints.grpc_address if with_api_key else endpoints.mtls_grpc_address
    if not endpoint:
        raise CommandFailed(
            f"{namespace.namespace} has no endpoint yet: it gets one when it is ACTIVE. "
            f"Look with: controlplane namespace get {namespace.namespace}"
        )
    accepted = spec.mtls_auth.accepted_client_ca.decode()
    return WorkerConnection(
        namespace=namespace.namespace,
        endpoint=endpoint,
        ca_file=ca_file,
        authorities=bundle.check(accepted, datetime.now(UTC)).certificates if accepted else (),
        filters=tuple(
            ", ".join(f"{field.name}={value}" for field, value in certificate_filter.ListFields())
            for certificate_filter in spec.mtls_auth.certificate_filters
        ),
        client_cert=client_cert and client_cert.absolute(),
        client_key=client_key and client_key.absolute(),
        with_api_key=with_api_key,
    )


def environment(connection: WorkerConnection) -> dict[str, str]:
    """Return the variables that Temporal's SDKs and CLI read their connection from.

    TEMPORAL_API_KEY is not among them: it would show the key.
    """
    files = {
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": connection.ca_file,
        "TEMPORAL_TLS_CLIENT_CERT_PATH": connection.client_cert,
        "TEMPORAL_TLS_CLIENT_KEY_PATH": connection.client_key,
    }
    return {
        "TEMPORAL_ADDRESS": connection.address,
        "TEMPORAL_NAMESPACE": connection.namespace,
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_SERVER_NAME": connection.server_name,
        **{name: str(file) for name, file in files.items() if file is not None},
    }


def as_exports(connection: WorkerConnection) -> str:
    """Return the variables for a shell to `eval`."""
    lines = [
        f"export {name}={shlex.quote(value)}" for name, value in environment(connection).items()
    ]
    if connection.with_api_key:
        missing = "is not set: put the API key there, and do this again"
        lines.append(f'export TEMPORAL_API_KEY="${{{API_KEY_VARIABLE}:?{missing}}}"')
    elif connection.client_cert is None or connection.client_key is None:
        lines.append(
            "# Also TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH: "
            "name them with --client-cert and --client-key."
        )
    return "\n".join(lines)


def as_json(connection: WorkerConnection) -> Json:
    return {
        "namespace": connection.namespace,
        "address": connection.address,
        "endpoint": connection.endpoint,
        "server_name": connection.server_name,
        "server_ca_file": _text(connection.ca_file),
        "authentication": "api_key" if connection.with_api_key else "client_certificate",
        "client_certificate_file": _text(connection.client_cert),
        "client_key_file": _text(connection.client_key),
        "accepted_authorities": [
            {
                "subject": authority.subject,
                "fingerprint": authority.fingerprint,
                "not_after": authority.not_after.isoformat(),
            }
            for authority in connection.authorities
        ],
        "certificate_filters": list(connection.filters),
        "environment": environment(connection),
    }


def _check_way(namespace: Namespace, with_api_key: bool) -> None:
    """Refuse a way by which the namespace lets nobody in."""
    name, spec = namespace.namespace, namespace.spec
    if with_api_key and not spec.api_key_auth.enabled:
        raise CommandFailed(
            f"{name} lets nobody in by API key: show a certificate, or change that with "
            f"`controlplane namespace update {name} --api-keys`"
        )
    if not with_api_key and not spec.mtls_auth.enabled:
        raise CommandFailed(
            f"{name} lets nobody in by certificate: connect with --with-api-key, or change that "
            f"with `controlplane namespace update {name} --mtls`"
        )


def _text(file: Path | None) -> str | None:
    return None if file is None else str(file)
