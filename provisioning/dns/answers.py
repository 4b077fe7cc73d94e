"""What an authoritative server says about one name and type."""

from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from provisioning.dns.exchange import Server, exchange


@dataclass(frozen=True)
class Saying:
    """A server's answer, reduced to what must be the same everywhere."""

    authoritative: bool
    rcode: Rcode
    type: RdataType
    ttl: int | None = None
    data: tuple[str, ...] = ()
    """The records' data as zone files write it, sorted."""

    @property
    def denies(self) -> bool:
        return (
            self.authoritative and self.rcode in (Rcode.NXDOMAIN, Rcode.NOERROR) and not self.data
        )

    def __str__(self) -> str:
        if self.data:
            text = f"says {RdataType.to_text(self.type)} {' '.join(self.data)} with TTL {self.ttl}"
        elif self.rcode == Rcode.NOERROR:
            text = f"knows no {RdataType.to_text(self.type)} of that name"
        else:
            text = f"says {Rcode.to_text(self.rcode)}"
        return text if self.authoritative else f"{text}, without authority"


@dataclass(frozen=True)
class Silence:
    """A server that gave no answer."""

    reason: str

    def __str__(self) -> str:
        return f"gives no answer: {self.reason}"


async def ask(server: Server, name: dns.name.Name, rdtype: RdataType) -> Saying | Silence:
    """Return what the server itself says about exactly this name and type."""
    try:
        reply = await exchange(question(name, rdtype), server)
    except TimeoutError as error:
        return Silence(str(error))
    records = reply.get_rrset(dns.message.ANSWER, name, dns.rdataclass.IN, rdtype)
    authoritative = bool(reply.flags & dns.flags.AA)
    if records is None:
        return Saying(authoritative, reply.rcode(), rdtype)
    data = tuple(sorted(record.to_text() for record in records))
    return Saying(authoritative, reply.rcode(), rdtype, records.ttl, data)


def question(name: dns.name.Name, rdtype: RdataType) -> dns.message.QueryMessage:
    """Return a query that no server may pass on to another."""
    return dns.message.make_query(name, rdtype, flags=0)
