"""How to connect to a namespace, for people: facts first, then what to paste."""

import json
import shlex
from collections.abc import Iterator

from controlplane.cli.output import moment
from controlplane.cli.worker_connection import API_KEY_VARIABLE, WorkerConnection

CLIENT_CERT = "CLIENT.pem"
CLIENT_KEY = "CLIENT.key"
"""What stands in snippets for files that were not named."""


def as_text(connection: WorkerConnection) -> str:
    return "\n".join(
        [
            *(f"{what:<20}{value}" for what, value in _facts(connection)),
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


def _facts(connection: WorkerConnection) -> Iterator[tuple[str, str]]:
    yield "Namespace", connection.namespace
    yield "Address", _address(connection)
    yield "TLS server name", connection.server_name
    yield "Server CA", str(connection.ca_file or "the system's")
    if connection.with_api_key:
        yield "API key", "that of a user or service account that may use the namespace"
        return
    if not connection.authorities:
        yield (
            "Client certificate",
            "signed by the CA kept for the namespace: "
            f"controlplane namespace cert issue {connection.namespace}",
        )
    for number, authority in enumerate(connection.authorities):
        yield (
            "" if number else "Client certificate",
            f"{'or' if number else 'signed'} by {authority.subject} "
            f"(SHA-256 {authority.fingerprint[:16]}…, valid until {moment(authority.not_after)})",
        )
    for text in connection.filters:
        yield "  that matches", text


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
        ("--tls-ca-path", str(connection.ca_file or "")),
    ]
    command = "temporal workflow list"
    if connection.with_api_key:
        # Not --api-key: others can read command lines.
        command = f'TEMPORAL_API_KEY="${API_KEY_VARIABLE}" {command}'
    else:
        options += [
            ("--tls-cert-path", str(connection.client_cert or CLIENT_CERT)),
            ("--tls-key-path", str(connection.client_key or CLIENT_KEY)),
        ]
    given = [f"{option} {shlex.quote(value)}" for option, value in options if value]
    return " \\\n  ".join([command, *given])


def _python(connection: WorkerConnection) -> str:
    tls = [("domain", _quoted(connection.server_name))]
    if connection.ca_file:
        tls.append(("server_root_ca_cert", _read(str(connection.ca_file))))
    if not connection.with_api_key:
        tls.append(("client_cert", _read(str(connection.client_cert or CLIENT_CERT))))
        tls.append(("client_private_key", _read(str(connection.client_key or CLIENT_KEY))))
    return "\n".join(
        [
            *(["import os"] if connection.with_api_key else []),
            "from pathlib import Path",
            "from temporalio.client import Client",
            "from temporalio.service import TLSConfig",
            "",
            "client = await Client.connect(",
            f"    {_quoted(connection.address)},",
            f"    namespace={_quoted(connection.namespace)},",
            *(
                [f"    api_key=os.environ[{_quoted(API_KEY_VARIABLE)}],"]
                if connection.with_api_key
                else []
            ),
            "    tls=TLSConfig(",
            *(f"        {argument}={value}," for argument, value in tls),
            "    ),",
            ")",
        ]
    )


def _again(connection: WorkerConnection) -> str:
    words = ["controlplane", "namespace", "connect", connection.namespace, "-o", "env"]
    if connection.with_api_key:
        return shlex.join([*words, "--with-api-key"])
    words += ["--client-cert", str(connection.client_cert or CLIENT_CERT)]
    words += ["--client-key", str(connection.client_key or CLIENT_KEY)]
    return shlex.join(words)


def _read(file: str) -> str:
    return f"Path({_quoted(file)}).read_bytes()"


def _quoted(text: str) -> str:
    return json.dumps(text)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.splitlines())
