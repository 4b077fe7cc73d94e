"""Connections to an ingress: TLS, the gatekeeper's word, and nothing more."""

import asyncio
import socket
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.cells.ingress.authorities import Credential
from tests.cells.ingress.small_cell import SmallCell

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


class Refused(Exception):
    """The ingress closed the connection before it spoke HTTP/2."""


@dataclass(frozen=True)
class Handshake:
    server_certificate: str
    """PEM."""
    session: ssl.SSLSession | None
    resumed: bool


def tls_context(cell: SmallCell, credential: Credential | None) -> ssl.SSLContext:
    """Return what a TLS client needs that trusts the fleet and shows this certificate."""
    context = ssl.create_default_context(cadata=cell.fleet.pem)
    context.set_alpn_protocols(["h2"])
    if credential is not None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "client.pem"
            file.write_text(credential.certificate + credential.private_key)
            context.load_cert_chain(file)
    return context


async def handshake(
    cell: SmallCell,
    server_name: str | None,
    credential: Credential | None,
) -> Handshake:
    """Connect, and return what was seen; raise Refused if the ingress refuses."""
    return await asyncio.to_thread(resume, cell, server_name, tls_context(cell, credential), None)


def resume(
    cell: SmallCell,
    server_name: str | None,
    context: ssl.SSLContext,
    session: ssl.SSLSession | None,
) -> Handshake:
    """Connect, offering an earlier session. Blocks."""
    context.check_hostname = server_name is not None
    host, _, port = cell.ingress.listen.rpartition(":")
    try:
        with (
            socket.create_connection((host, int(port)), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname=server_name, session=session) as tls,
        ):
            tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls.sendall(HTTP2_PREFACE)
            if not tls.recv(9):
                raise Refused("closed")
            der = tls.getpeercert(binary_form=True)
            assert der is not None
            pem = ssl.DER_cert_to_PEM_cert(der)
            return Handshake(pem, tls.session, bool(tls.session_reused))
    except (ssl.SSLError, ConnectionError) as error:
        raise Refused(str(error)) from error
