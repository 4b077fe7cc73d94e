"""The zone's content: what it answers, and what an update makes of it. No sockets, no files."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import dns.btreezone
import dns.name
import dns.node
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.transaction
import dns.update
import dns.zone
from dns.rcode import Rcode
from dns.rdatatype import RdataType

NEGATIVE_TTL_SECONDS = 5
"""How long a resolver may remember that a name does not exist: a namespace soon will."""
RECORD_TYPES = frozenset({RdataType.A, RdataType.AAAA, RdataType.CNAME, RdataType.TXT})
"""What updates may add and remove. What is at the zone's apex is not theirs to change."""

_WILDCARD = dns.name.Name((b"*",))


@dataclass(frozen=True)
class Answer:
    rcode: Rcode
    answer: list[dns.rrset.RRset]
    authority: list[dns.rrset.RRset]


@dataclass(frozen=True)
class RecordSet:
    ttl: int
    type: str
    data: list[str]


@dataclass(frozen=True)
class Change:
    """What an update left at the names it touched: applied twice, it is applied once."""

    serial: int
    names: dict[str, list[RecordSet]]

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Change":
        """Read a change; raise ValueError for anything else."""
        try:
            values = json.loads(text)
            names = {
                name: [RecordSet(**record_set) for record_set in record_sets]
                for name, record_sets in values["names"].items()
            }
            return cls(int(values["serial"]), names)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a change of a zone: {text:.80}") from error


class Zone:
    """An authoritative zone (RFC 1034, 4592) that takes dynamic updates (RFC 2136)."""

    def __init__(self, text: str, origin: dns.name.Name) -> None:
        """Read a zone file's text."""
        self.origin = origin
        zone = dns.zone.from_text(text, origin, relativize=False, zone_factory=dns.btreezone.Zone)
        assert isinstance(zone, dns.btreezone.Zone)
        self._zone = zone

    @classmethod
    def new(cls, origin: dns.name.Name, address: str) -> "Zone":
        """Return a zone whose only name server is at `address`."""
        address_type = "AAAA" if ":" in address else "A"
        return cls(
            f"@ {NEGATIVE_TTL_SECONDS} IN SOA ns hostmaster 1 60 60 86400 {NEGATIVE_TTL_SECONDS}\n"
            f"@ 60 IN NS ns\n"
            f"ns 60 IN {address_type} {address}\n",
            origin,
        )

    @property
    def serial(self) -> int:
        serial: int = self._soa()[0].serial
        return serial

    def lines(self) -> Iterator[str]:
        """Yield the zone as lines of a zone file, as it is now, whatever changes meanwhile."""
        with self._zone.reader() as reader:
            # The version outlives its reader and is never changed.
            nodes = reader.version.nodes
        for name, node in nodes.items():
            for rdataset in node:
                yield rdataset.to_text(name) + "\n"

    def answer(self, name: dns.name.Name, rdtype: RdataType) -> Answer:
        """Answer a question about a name in the zone, following aliases within it."""
        found: list[dns.rrset.RRset] = []
        followed: set[dns.name.Name] = set()
        while name.is_subdomain(self.origin) and name not in followed:
            there = self._find(name)
            if there is None:
                return Answer(Rcode.NXDOMAIN, found, [self._denial()])
            wanted = [each for each in there if rdtype in (each.rdtype, RdataType.ANY)]
            if wanted:
                found += [_rrset(name, each) for each in wanted]
                return Answer(Rcode.NOERROR, found, [])
            alias = next((each for each in there if each.rdtype == RdataType.CNAME), None)
            if alias is None:
                return Answer(Rcode.NOERROR, found, [self._denial()])
            found.append(_rrset(name, alias))
            followed.add(name)
            name = alias[0].target
        return Answer(Rcode.NOERROR, found, [])

    def update(self, message: dns.update.UpdateMessage) -> tuple[Rcode, Change | None]:
        """Apply an update, whole or not at all; return what it changed, None if nothing."""
        refusal = self._refusal(message)
        if refusal != Rcode.NOERROR:
            return refusal, None
        touched = {rrset.name for rrset in message.update}
        with self._zone.writer() as writer:
            before = {name: _record_sets(writer.get_node(name)) for name in touched}
            for rrset in message.update:
                _apply(writer, rrset)
            after = {name: _record_sets(writer.get_node(name)) for name in touched}
            changed = [name for name in touched if after[name] != before[name]]
            if not changed:
                return Rcode.NOERROR, None
            writer.update_serial(name=self.origin)
        names = {name.to_text(): after[name] for name in changed}
        return Rcode.NOERROR, Change(self.serial, names)

    def replay(self, change: Change) -> None:
        """Make the zone what it was right after `change`."""
        with self._zone.writer() as writer:
            for text, record_sets in change.names.items():
                name = dns.name.from_text(text)
                writer.delete(name)
                for each in record_sets:
                    rdataset = dns.rdataset.from_text_list("IN", each.type, each.ttl, each.data)
                    writer.replace(name, rdataset)
            writer.update_serial(change.serial, relative=False, name=self.origin)

    def _find(self, name: dns.name.Name) -> tuple[dns.rdataset.Rdataset, ...] | None:
        """Return what is at `name`, by a wildcard if need be; None if there is no such name."""
        with self._zone.reader() as reader:
            version = reader.version
        node = version.get_node(name)
        if node is not None:
            return tuple(node)
        encloser = version.bounds(name).closest_encloser
        if encloser == name:
            return ()  # There are names below it, and so it exists, empty.
        node = version.get_node(_WILDCARD + encloser)
        return None if node is None else tuple(node)

    def _soa(self) -> dns.rdataset.Rdataset:
        return self._zone.find_rdataset(self.origin, RdataType.SOA)

    def _denial(self) -> dns.rrset.RRset:
        return _rrset(self.origin, self._soa())

    def _refusal(self, message: dns.update.UpdateMessage) -> Rcode:
        """Check zone, permissions and prerequisites (RFC 2136, 3.1 to 3.3)."""
        if [(zone.name, zone.rdclass) for zone in message.zone] != [
            (self.origin, dns.rdataclass.IN)
        ]:
            return Rcode.NOTAUTH
        for rrset in (*message.prerequisite, *message.update):
            if not rrset.name.is_subdomain(self.origin):
                return Rcode.NOTZONE
            if rrset.rdclass != dns.rdataclass.IN:
                return Rcode.FORMERR
        for rrset in message.update:
            deletes_name = rrset.rdtype == RdataType.ANY and rrset.deleting == dns.rdataclass.ANY
            if rrset.name == self.origin or not (deletes_name or rrset.rdtype in RECORD_TYPES):
                return Rcode.REFUSED
        return self._prerequisites(message.prerequisite)

    def _prerequisites(self, prerequisites: list[dns.rrset.RRset]) -> Rcode:
        exactly: dict[tuple[dns.name.Name, RdataType], set[dns.rdata.Rdata]] = {}
        for rrset in prerequisites:
            node = self._zone.get_node(rrset.name)
            any_type = rrset.rdtype == RdataType.ANY
            there = node is not None and (any_type or any(n.rdtype == rrset.rdtype for n in node))
            match rrset.deleting:
                case dns.rdataclass.ANY if not there:
                    return Rcode.NXDOMAIN if any_type else Rcode.NXRRSET
                case dns.rdataclass.NONE if there:
                    return Rcode.YXDOMAIN if any_type else Rcode.YXRRSET
                case None:
                    exactly.setdefault((rrset.name, rrset.rdtype), set()).update(rrset)
                case _:
                    pass
        for (name, rdtype), rdatas in exactly.items():
            if set(self._zone.get_rdataset(name, rdtype) or ()) != rdatas:
                return Rcode.NXRRSET
        return Rcode.NOERROR


def _apply(writer: dns.transaction.Transaction, rrset: dns.rrset.RRset) -> None:
    """Apply one line of an update (RFC 2136, 3.4.2)."""
    match rrset.deleting:
        case dns.rdataclass.ANY if rrset.rdtype == RdataType.ANY:
            writer.delete(rrset.name)
        case dns.rdataclass.ANY:
            writer.delete(rrset.name, rrset.rdtype)
        case dns.rdataclass.NONE:
            writer.delete(rrset.name, rrset.to_rdataset())
        case _:
            node = writer.get_node(rrset.name)
            is_alias = rrset.rdtype == RdataType.CNAME
            if any((other.rdtype == RdataType.CNAME) != is_alias for other in node or ()):
                return  # An alias stands alone; what would break that is ignored.
            added = rrset.to_rdataset()
            if not is_alias:
                for rdata in writer.get(rrset.name, rrset.rdtype) or ():
                    added.add(rdata)
            added.ttl = rrset.ttl  # One TTL for the whole set (RFC 2181, 5.2).
            writer.replace(rrset.name, added)


def _record_sets(node: dns.node.Node | None) -> list[RecordSet]:
    return sorted(
        (
            RecordSet(each.ttl, RdataType.to_text(each.rdtype), sorted(r.to_text() for r in each))
            for each in node or ()
        ),
        key=lambda record_set: record_set.type,
    )


def _rrset(name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))
