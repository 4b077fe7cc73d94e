"""Knocking at an endpoint: a TLS handshake, and whether anybody answers behind it."""

import asyncio
import contextlib
import hashlib
import socket
import ssl
import tempfile
from dataclasses import dataclass

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from provisioning.certificates.x509 import CertificateAndKey

_ANSWER_SECONDS = 5.0
# An HTTP/2 client speaks first (RFC 9113, 3.4), with this and its settings, here none.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_NO_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@dataclass(frozen=True)
class Endpoint:
    """Where a namespace's clients connect, and the name they ask for there."""

    ip: str
    port: int
    server_name: str

    def __str__(self) -> str:
        return f"{self.server_name} ({self.address})"

    @property
    def address(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """What an endpoint that lets a client in shows it."""

    fingerprint: str
    """SHA-256 of the server's certificate, hexadecimal."""


def client_context(roots: bytes, client: CertificateAndKey | None) -> ssl.SSLContext:
    """Return the settings of a client that trusts `roots` (PEM) and shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=roots.decode())
    context.set_alpn_protocols(["h2"])
    if client is not None:
        # The interface takes files only; this one is nobody else's and gone at once.
        with tempfile.NamedTemporaryFile(prefix="controlplane-") as file:
            file.write(client.to_pem())
            file.flush()
            context.load_cert_chain(file.name)
    return context


async def knock(endpoint: Endpoint, context: ssl.SSLContext) -> Answer | None:
    """Return the answer, or None for a client that the endpoint turns away.

    Being turned away is a refused handshake, or a connection closed without a byte of HTTP/2: in
    TLS 1.3 a client's handshake ends before the server has judged its certificate. An endpoint that
    cannot be reached, keeps silent or shows a certificate that is not to be trusted raises OSError.
    """
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            connection = await _connect(endpoint)
            return await _speak(endpoint, context, connection)
    except TimeoutError:
        raise TimeoutError(f"no answer within {_ANSWER_SECONDS:g} s") from None


async def call_as_stranger(
    endpoint: Endpoint, roots: bytes, client: CertificateAndKey | None
) -> grpc.StatusCode:
    """Return how the endpoint answers a request for nothing in particular, made without an API key.

    UNAVAILABLE is also what a client hears that is turned away, or that does not trust the server.
    """
    credentials = grpc.ssl_channel_credentials(
        roots,
        None if client is None else client.key_pem,
        None if client is None else client.certificate_pem,
    )
    options = [
        ("grpc.ssl_target_name_override", endpoint.server_name),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    ]
    async with grpc.aio.secure_channel(endpoint.address, credentials, options) as channel:
        ask = HealthStub(channel).Check
        try:
            await ask(HealthCheckRequest(), timeout=_ANSWER_SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


async def _connect(endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.ip else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (endpoint.ip, endpoint.port))
    except BaseException:
        connection.close()
        raise
    return connection


async def _speak(
    endpoint: Endpoint, context: ssl.SSLContext, connection: socket.socket
) -> Answer | None:
    try:
        reader, writer = await asyncio.open_connection(
            sock=connection, ssl=context, server_hostname=endpoint.server_name
        )
    except ssl.SSLCertVerificationError:
        raise
    except (ssl.SSLError, ConnectionError):
        return None
    try:
        tls = writer.get_extra_info("ssl_object")
        certificate: bytes = tls.getpeercert(binary_form=True)
        writer.write(_PREFACE + _NO_SETTINGS)
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            if await reader.read(1):
                return Answer(hashlib.sha256(certificate).hexdigest())
        return None
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
