"""One DNS message to one server and its reply, in spite of lost packets."""

from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.message
import dns.query
import dns.tsig

UDP_TIMEOUTS_SECONDS = (0.3, 0.7, 1.5)
"""One per try: packets get lost, and a server may be busy."""
TCP_TIMEOUT_SECONDS = 5.0
"""The last try: networks exist that let no UDP through, and servers that are busy for longer."""


@dataclass(frozen=True)
class Server:
    host: str
    port: int

    @classmethod
    def parse(cls, address: str) -> "Server":
        """Read `ip:port` or `[ip]:port`."""
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"{address!r} is not the address of a DNS server: write ip:port")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def exchange(message: dns.message.Message, server: Server) -> dns.message.Message:
    """Return the server's reply; raise TimeoutError naming the server when there is none.

    The message may arrive several times. A `dns.tsig.PeerError` says what the server does not
    like about its signature.
    """
    for timeout in UDP_TIMEOUTS_SECONDS:
        try:
            reply, _ = await dns.asyncquery.udp_with_fallback(
                message, server.host, timeout, server.port, ignore_unexpected=True
            )
        except dns.tsig.PeerError:
            raise
        except (dns.exception.DNSException, OSError):
            continue
        return reply
    try:
        return await dns.asyncquery.tcp(message, server.host, TCP_TIMEOUT_SECONDS, server.port)
    except dns.tsig.PeerError:
        raise
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise TimeoutError(
            f"DNS server {server} did not answer in {len(UDP_TIMEOUTS_SECONDS)} tries over UDP "
            f"and one over TCP ({error})"
        ) from error
