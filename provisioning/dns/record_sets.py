"""Names in zones that are changed by whole record sets, many at once, and only from what was read.

What was read is deleted and what is wanted added in one change, which fails when somebody else was
there in between. Beside each alias, under `_uid.`, stands for which incarnation of a namespace it
was published: every change replaces that, too.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address

import dns.name
import dns.rdata
import dns.rdataclass
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rdtypes.txtbase import TXTBase

from controlplane.errors import rejected
from provisioning.dns.answers import Saying
from provisioning.dns.authority import Authority, denies, plain
from provisioning.types import DnsFacts

_RACES = 5


@dataclass(frozen=True)
class RecordSet:
    """All records of one name and type."""

    name: str
    """With its trailing dot."""
    type: str
    ttl: int
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name.rstrip('.')} is {self.type} {' '.join(self.values)}"


class RecordSetDns(ABC):
    """The fleet's zone, as `provisioning.ports.Dns` has it, but for how a cloud is asked."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    @abstractmethod
    async def _at(self, name: str) -> list[RecordSet]:
        """Return what there is at exactly this name, which ends in a dot."""

    @abstractmethod
    async def _changed(
        self, deletions: Sequence[RecordSet], additions: Sequence[RecordSet]
    ) -> bool:
        """Carry the change out, as a whole or not at all, and return once the cloud has told its
        servers. Return False when the zone is not as the change says."""

    def _note(self, name: str, uid: str, ttl: int, following: Sequence[RecordSet]) -> RecordSet:  # noqa: ARG002 - for whom they must differ
        """Return the note that takes the place of those which are there."""
        return RecordSet(name, "TXT", ttl, (f'"{uid}"',))

    async def publish(self, name: str, target: str, ttl: timedelta, uid: str) -> DnsFacts:
        """Make `name` an alias; an alias of something else gives way, other records do not."""
        alias, alias_of = self._authority.inside(name), dns.name.from_text(target).canonicalize()
        seconds = int(ttl.total_seconds())
        wanted = RecordSet(_dotted(alias), "CNAME", seconds, (alias_of.to_text(),))
        for _ in range(_RACES):
            present = await self._giving_way(wanted)
            notes = await self._notes(alias)
            for note in notes:
                if _uid(note) != uid:
                    raise rejected(
                        f"{plain(alias)} was published for incarnation {_uid(note)}, not {uid}: "
                        f"delete that namespace first, or remove {note.name.rstrip('.')}"
                    )
            if present == [wanted] and notes:
                break
            note = self._note(_note_name(alias), uid, seconds, notes)
            if await self._changed([*notes, *present], [note, wanted]):
                break
        else:
            raise RuntimeError(f"{plain(alias)} kept changing while it was being published")
        await self._agree(wanted, alias)
        return DnsFacts(plain(alias), plain(alias_of), ttl)

    async def publish_address(self, name: str, address: str, ttl: timedelta) -> None:
        """Give `name` this one address, IPv4 or IPv6; return once every server says so."""
        kind = "AAAA" if ip_address(address).version == 6 else "A"
        inside = self._authority.inside(name)
        value = ip_address(address).compressed
        wanted = RecordSet(_dotted(inside), kind, int(ttl.total_seconds()), (value,))
        for _ in range(_RACES):
            present = await self._giving_way(wanted)
            if present == [wanted] or await self._changed(present, [wanted]):
                break
        else:
            raise RuntimeError(f"{plain(inside)} kept changing while it was being published")
        await self._agree(wanted, inside)

    async def withdraw(self, name: str, uid: str) -> None:
        alias = self._authority.inside(name)
        for _ in range(_RACES):
            notes = await self._notes(alias)
            if any(_uid(note) != uid for note in notes):
                return None
            present = [one for one in await self._at(_dotted(alias)) if one.type == "CNAME"]
            if not (notes or present) or await self._changed([*notes, *present], []):
                aim = f"{plain(alias)} is withdrawn"
                return await self._authority.agree(aim, alias, RdataType.CNAME, denies)
        raise RuntimeError(f"{plain(alias)} kept changing while it was being withdrawn")

    async def withdraw_address(self, name: str) -> None:
        """Take the addresses of `name` away; return once every server denies them."""
        inside = self._authority.inside(name)
        for _ in range(_RACES):
            present = [one for one in await self._at(_dotted(inside)) if one.type in ("A", "AAAA")]
            if not present or await self._changed(present, []):
                for rdtype in (RdataType.A, RdataType.AAAA):
                    await self._authority.agree(
                        f"{plain(inside)} is withdrawn", inside, rdtype, denies
                    )
                return
        raise RuntimeError(f"{plain(inside)} kept changing while it was being withdrawn")

    async def observe(self, name: str) -> DnsFacts | None:
        """Return what every server that answers says; None also when they differ."""
        return await self._authority.observe(name)

    async def resolve(self, name: str) -> str:
        """Return the IPv4 address `name` leads to, asking the authoritative servers only.

        Raise LookupError when it leads nowhere. No resolver's cache is consulted or filled.
        """
        return await self._authority.resolve(name)

    async def _giving_way(self, wanted: RecordSet) -> list[RecordSet]:
        """Return what is replaced; raise `rejected` for what is not."""
        present = await self._at(wanted.name)
        others = [one for one in present if one.type != wanted.type]
        if others:
            raise rejected(
                f"{wanted.name.rstrip('.')} cannot become a {wanted.type} record, for it is taken: "
                f"{'; '.join(map(str, others))}: remove that from zone "
                f"{plain(self._authority.zone)} first"
            )
        return present

    async def _notes(self, alias: dns.name.Name) -> list[RecordSet]:
        """Return for which incarnation the alias was published, if that is noted."""
        return [one for one in await self._at(_note_name(alias)) if one.type == "TXT"]

    async def _agree(self, wanted: RecordSet, name: dns.name.Name) -> None:
        rdtype = RdataType.from_text(wanted.type)
        saying = Saying(True, Rcode.NOERROR, rdtype, wanted.ttl, wanted.values)
        aim = f"{wanted} with TTL {wanted.ttl}"
        await self._authority.agree(aim, name, rdtype, lambda heard: heard == saying)


def _note_name(alias: dns.name.Name) -> str:
    return f"_uid.{_dotted(alias)}"


def _uid(note: RecordSet) -> str:
    return strings(note)[0]


def strings(note: RecordSet) -> list[str]:
    """Return what a note says: the uid first."""
    rdata = dns.rdata.from_text(dns.rdataclass.IN, RdataType.TXT, note.values[0])
    assert isinstance(rdata, TXTBase)
    return [each.decode() for each in rdata.strings]


def _dotted(name: dns.name.Name) -> str:
    return name.canonicalize().to_text()
