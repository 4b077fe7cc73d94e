"""What a worker needs to connect to a namespace, in the forms that workers take it in."""

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.service import TLSConfig

from controlplane.cli.failures import CommandFailed
from controlplane.cli.output import Json, moment
from provisioning.certificates import bundle
from provisioning.certificates.bundle import CaCertificate
from provisioning.certificates.x509 import CertificateAndKey

LOOPBACK = "127.0.0.1"
CLIENT_CERT = "CLIENT.pem"
CLIENT_KEY = "CLIENT.key"
"""What stands in snippets for files that were not named."""


@dataclass(frozen=True)
class WorkerConnection:
    """An endpoint and how to be let in."""

    namespace: str
    endpoint: str
    """The endpoint by its name, `host:port`."""
    ca_file: Path | None
    """The CA of the endpoint's certificate; None means the system's."""
    authorities: tuple[CaCertificate, ...]
    """A client certificate has to be signed by one of them,"""
    filters: tuple[str, ...]
    """and to match one of these, if there are any."""
    client_cert: Path | None = None
    client_key: Path | None = None

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
    namespace: Namespace, ca_file: Path | None, client_cert: Path | None, client_key: Path | None
) -> WorkerConnection:
    """Return how to connect to the namespace; raise CommandFailed while it has no endpoint."""
    endpoint = namespace.endpoints.mtls_grpc_address
    if not endpoint:
        raise CommandFailed(
            f"{namespace.namespace} has no endpoint yet: it gets one when it is ACTIVE. "
            f"Look with: controlplane namespace get {namespace.namespace}"
        )
    mtls = namespace.spec.mtls_auth
    return WorkerConnection(
        namespace=namespace.namespace,
        endpoint=endpoint,
        ca_file=ca_file,
        authorities=bundle.check(mtls.accepted_client_ca.decode(), datetime.now(UTC)).certificates,
        filters=tuple(
            ", ".join(f"{field.name}={value}" for field, value in certificate_filter.ListFields())
            for certificate_filter in mtls.certificate_filters
        ),
        client_cert=client_cert and client_cert.absolute(),
        client_key=client_key and client_key.absolute(),
    )


def environment(connection: WorkerConnection) -> dict[str, str]:
    """Return the variables that Temporal's SDKs and CLI read their connection from."""
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
    if connection.client_cert is None or connection.client_key is None:
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


def as_text(connection: WorkerConnection) -> str:
    """Return it for people: facts first, then what to paste."""
    facts = [
        ("Namespace", connection.namespace),
        ("Address", _address(connection)),
        ("TLS server name", connection.server_name),
        ("Server CA", _text(connection.ca_file) or "the system's"),
        *(
            (
                "Client certificate" if first else "",
                f"{'signed by' if first else 'or by'} {authority.subject} "
                f"(SHA-256 {authority.fingerprint[:16]}…, valid until "
                f"{moment(authority.not_after)})",
            )
            for first, authority in zip(
                [True] + [False] * len(connection.authorities), connection.authorities, strict=False
            )
        ),
        *(("  that matches", text) for text in connection.filters),
    ]
    return "\n".join(
        [
            *(f"{what:<20}{value}" for what, value in facts),
            "",
            "temporal CLI",
            _indented(_cli(connection)),
            "",
            "Python SDK",
            _indented(_python(connection)),
            "",
            "Any SDK and the temporal CLI, from the environment",
            _indented(f'eval "$({_again(connection)})"'),
        ]
    )


def _address(connection: WorkerConnection) -> str:
    if connection.address == connection.endpoint:
        return connection.endpoint
    return (
        f"{connection.address}  (its name {connection.server_name} is known to the fleet's own "
        "DNS server only: dial this, send the name)"
    )


def _cli(connection: WorkerConnection) -> str:
    options = [
        ("--address", connection.address),
        ("--namespace", connection.namespace),
        ("--tls-server-name", connection.server_name),
        ("--tls-ca-path", _text(connection.ca_file)),
        ("--tls-cert-path", _text(connection.client_cert) or CLIENT_CERT),
        ("--tls-key-path", _text(connection.client_key) or CLIENT_KEY),
    ]
    given = [f"{option} {shlex.quote(value)}" for option, value in options if value]
    return " \\\n  ".join(["temporal workflow list", *given])


def _python(connection: WorkerConnection) -> str:
    tls = [
        ("domain", _quoted(connection.server_name)),
        ("server_root_ca_cert", connection.ca_file and _read(str(connection.ca_file))),
        ("client_cert", _read(_text(connection.client_cert) or CLIENT_CERT)),
        ("client_private_key", _read(_text(connection.client_key) or CLIENT_KEY)),
    ]
    return "\n".join(
        [
            "from pathlib import Path",
            "from temporalio.client import Client",
            "from temporalio.service import TLSConfig",
            "",
            "client = await Client.connect(",
            f"    {_quoted(connection.address)},",
            f"    namespace={_quoted(connection.namespace)},",
            "    tls=TLSConfig(",
            *(f"        {argument}={value}," for argument, value in tls if value),
            "    ),",
            ")",
        ]
    )


def _again(connection: WorkerConnection) -> str:
    words = ["controlplane", "namespace", "connect", connection.namespace, "-o", "env"]
    words += ["--client-cert", _text(connection.client_cert) or CLIENT_CERT]
    words += ["--client-key", _text(connection.client_key) or CLIENT_KEY]
    return shlex.join(words)


def _read(file: str) -> str:
    return f"Path({_quoted(file)}).read_bytes()"


def _quoted(text: str) -> str:
    return json.dumps(text)


def _text(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.splitlines())
