"""From a DNS message on the wire to the reply on the wire."""

import logging
import struct
import time

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rrset
import dns.tsig
import dns.update
from dns.rcode import Rcode
from dns.rdtypes.ANY.TSIG import TSIG

from controlplane.local.dns.storage import ZoneStorage
from controlplane.local.dns.zone import Zone

LARGEST_UDP = 1232
"""Bytes: what passes everywhere without fragments (DNS Flag Day 2020)."""
LARGEST_UDP_WITHOUT_EDNS = 512
LARGEST_TCP = 65535

_FUDGE_SECONDS = 300
_HEADER_BYTES = 12

logger = logging.getLogger(__name__)


class Responder:
    """Answers questions from the zone and applies updates signed with the key."""

    def __init__(self, zone: Zone, storage: ZoneStorage, key: dns.tsig.Key) -> None:
        self._zone = zone
        self._storage = storage
        self._key = key

    async def respond(self, wire: bytes, *, over_tcp: bool) -> bytes | None:
        """Return the reply; None for what deserves none.

        An update is answered once it is durable. An OSError means that it could not be made so:
        from then on the zone in memory is ahead of the disk, and the server must not go on.
        """
        if len(wire) < _HEADER_BYTES or wire[2] & 0x80:
            return None  # No message, or a reply: answering one could go on forever.
        try:
            request = dns.message.from_wire(wire, keyring={self._key.name: self._key})
        except (dns.message.UnknownTSIGKey, dns.tsig.BadKey, dns.tsig.BadAlgorithm):
            return self._bad_signature(wire, Rcode.BADKEY)
        except dns.tsig.BadSignature:
            return self._bad_signature(wire, Rcode.BADSIG)
        except dns.tsig.BadTime:
            return self._bad_signature(wire, Rcode.BADTIME)
        except Exception:  # noqa: BLE001 - malformed messages break parsers in many ways
            return _bare(wire, Rcode.FORMERR)
        try:
            reply, changed = self._answer(request)
        except Exception:
            logger.exception("a request could not be answered")
            return _bare(wire, Rcode.SERVFAIL)
        if changed:
            await self._storage.sync(self._zone)
        return reply.to_wire(max_size=_limit(request, over_tcp), prefer_truncation=True)

    def _answer(self, request: dns.message.Message) -> tuple[dns.message.Message, bool]:
        """Return the reply, and whether it may only be sent once the zone is on disk."""
        reply = dns.message.make_response(request, our_payload=LARGEST_UDP)
        if request.edns > 0:
            reply.set_rcode(Rcode.BADVERS)
        elif isinstance(request, dns.update.UpdateMessage):
            return reply, self._update(request, reply)
        elif request.opcode() != dns.opcode.QUERY:
            reply.set_rcode(Rcode.NOTIMP)
        elif len(request.question) != 1:
            reply.set_rcode(Rcode.FORMERR)
        else:
            self._ask(request.question[0], reply)
        return reply, False

    def _update(self, request: dns.update.UpdateMessage, reply: dns.message.Message) -> bool:
        if not request.had_tsig:
            reply.set_rcode(Rcode.REFUSED)
            return False
        rcode, change = self._zone.update(request)
        reply.set_rcode(rcode)
        if change is not None:
            self._storage.append(change)
        # Without a change too: what is so already may have become so a moment ago.
        return rcode == Rcode.NOERROR

    def _ask(self, question: dns.rrset.RRset, reply: dns.message.Message) -> None:
        if question.rdclass != dns.rdataclass.IN or not question.name.is_subdomain(
            self._zone.origin
        ):
            reply.set_rcode(Rcode.REFUSED)
            return
        answer = self._zone.answer(question.name, question.rdtype)
        reply.flags |= dns.flags.AA
        reply.set_rcode(answer.rcode)
        reply.answer = answer.answer
        reply.authority = answer.authority

    def _bad_signature(self, wire: bytes, error: Rcode) -> bytes:
        """Say what is wrong with the request's signature (RFC 8945, 5.2 and 5.3.2)."""
        try:
            request = dns.message.from_wire(wire, keyring=False)
        except dns.exception.DNSException:
            return _bare(wire, Rcode.FORMERR)
        assert request.tsig is not None
        signature = request.tsig[0]
        assert isinstance(signature, TSIG)
        reply = dns.message.make_response(request)
        reply.set_rcode(Rcode.NOTAUTH)
        if error is Rcode.BADTIME:
            # The signature itself was right, and so the answer is signed; it tells our time.
            now = struct.pack("!Q", int(time.time()))[2:]
            reply.use_tsig(self._key, None, _FUDGE_SECONDS, None, error, now)
            reply.request_mac = signature.mac
        else:
            unsigned = signature.replace(mac=b"", original_id=request.id, error=error, other=b"")
            reply.tsig = dns.rrset.from_rdata(request.tsig.name, 0, unsigned)
        return reply.to_wire()


def _limit(request: dns.message.Message, over_tcp: bool) -> int:
    if over_tcp:
        return LARGEST_TCP
    if request.edns < 0:
        return LARGEST_UDP_WITHOUT_EDNS
    return min(max(request.payload, LARGEST_UDP_WITHOUT_EDNS), LARGEST_UDP)


def _bare(wire: bytes, rcode: Rcode) -> bytes:
    """Return a reply that is a header only, for a request that could not be read further."""
    opcode_and_rd = wire[2] & 0x79
    return wire[:2] + bytes([0x80 | opcode_and_rd, rcode]) + bytes(8)
