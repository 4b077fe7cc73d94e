"""TLS in front of a PostgreSQL server that has none of its own."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from provisioning.certificates.x509 import CertificateAndKey

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""The first message of a client that wants TLS (PostgreSQL's documentation, "Message Formats")."""


@asynccontextmanager
async def tls_in_front(
    port: int, certificate: CertificateAndKey, folder: Path
) -> AsyncIterator[int]:
    """Yield the port on which the server answers over TLS alone."""
    file = folder / "server.pem"
    file.write_bytes(certificate.to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                return
            writer.write(b"S")
            await writer.start_tls(context)
            behind, server = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(server):
                await asyncio.gather(_pass_on(reader, server), _pass_on(behind, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1")
    async with listener:
        yield listener.sockets[0].getsockname()[1]


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.closing(target), contextlib.suppress(OSError):
        while some := await source.read(65536):
            target.write(some)
            await target.drain()
