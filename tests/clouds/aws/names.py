"""The name servers of Route 53: they answer what its zones had a moment ago, with authority."""

import socketserver

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tests.clouds.aws.honest_services import published, zones


class NameServer(socketserver.ThreadingUDPServer):
    """Answers over UDP on 127.0.0.1, on a port of its own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)


class _Asked(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, socket = self.request
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        socket.sendto(_answer(query).to_wire(), self.client_address)


def _answer(query: dns.message.Message) -> dns.message.Message:
    reply = dns.message.make_response(query)
    name, kind = query.question[0].name.canonicalize(), query.question[0].rdtype
    holding = [zone for zone in zones() if name.is_subdomain(dns.name.from_text(zone))]
    if not holding:
        reply.set_rcode(dns.rcode.REFUSED)
        return reply
    reply.flags |= dns.flags.AA
    at_name = [one for one in published(max(holding, key=len)) if one[0] == name.to_text()]
    for _, found, ttl, values in at_name:
        if found in (dns.rdatatype.to_text(kind), "CNAME"):
            reply.answer.append(
                dns.rrset.from_text_list(name, ttl, dns.rdataclass.IN, found, values)
            )
    if not at_name:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply
