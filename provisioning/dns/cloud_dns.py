"""Names published in a zone of Cloud DNS, and checked with its authoritative servers.

Cloud DNS carries out a change as a whole or not at all, and deletes only what is exactly as the
change says. So what was read is deleted and what is wanted added in one change, which fails when
somebody else was there in between. Beside each alias, under `_uid.`, stands for which incarnation
of a namespace it was published, and how often that was changed: a change always replaces it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import dns.name
import dns.rdata
import dns.rdataclass
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rdtypes.txtbase import TXTBase

from controlplane.errors import rejected
from controlplane.gcp.calls import Google
from controlplane.gcp.discovered import dns as cloud_dns
from controlplane.gcp.errors import Refused, Status
from controlplane.gcp.waiting import until
from provisioning.dns.answers import Saying
from provisioning.dns.authority import DEFAULT_PATIENCE, Authority, denies, plain
from provisioning.types import DnsFacts

if TYPE_CHECKING:
    from googleapiclient._apis.dns.v1.schemas import ResourceRecordSet

_RACES = 5
_PROPAGATION = timedelta(minutes=5)
"""Cloud DNS has told all of its servers within seconds, usually."""
_LOST_A_RACE = (Status.ALREADY_EXISTS, Status.NOT_FOUND, Status.ABORTED, Status.FAILED_PRECONDITION)
"""To add what is there already; to delete what is not there, or not as it was said to be."""


@dataclass(frozen=True)
class _RecordSet:
    """All records of one name and type, as Cloud DNS has them."""

    name: str
    """With its trailing dot."""
    type: str
    ttl: int
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name.rstrip('.')} is {self.type} {' '.join(self.values)}"


class CloudDns:
    """The fleet's zone; adapter of `provisioning.ports.Dns`."""

    def __init__(
        self,
        zone: str,
        project: str,
        managed_zone: str,
        servers: tuple[str, ...],
        google: Google,
        patience: timedelta = DEFAULT_PATIENCE,
    ) -> None:
        """`managed_zone` is Google's name of the zone; `servers` are its authoritative ones, each
        `ip:port`."""
        self._authority = Authority.parse(zone, servers, patience)
        self._project = project
        self._managed_zone = managed_zone
        self._google = google

    async def publish(self, name: str, target: str, ttl: timedelta, uid: str) -> DnsFacts:
        """Make `name` an alias; an alias of something else gives way, other records do not."""
        alias, alias_of = self._authority.inside(name), dns.name.from_text(target).canonicalize()
        seconds = int(ttl.total_seconds())
        wanted = _RecordSet(_dotted(alias), "CNAME", seconds, (alias_of.to_text(),))
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
            note = _note(alias, uid, seconds, following=notes)
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
        wanted = _RecordSet(_dotted(inside), kind, int(ttl.total_seconds()), (value,))
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

    async def _giving_way(self, wanted: _RecordSet) -> list[_RecordSet]:
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

    async def _notes(self, alias: dns.name.Name) -> list[_RecordSet]:
        """Return for which incarnation the alias was published, if that is noted."""
        return [one for one in await self._at(_note_name(alias)) if one.type == "TXT"]

    async def _at(self, name: str) -> list[_RecordSet]:
        """Return what Cloud DNS has at exactly this name."""
        return [
            _RecordSet(
                found["name"], found["type"], found.get("ttl", 0), tuple(found.get("rrdatas", ()))
            )
            async for page in self._google.pages(
                lambda token: (
                    cloud_dns()
                    .resourceRecordSets()
                    .list(
                        project=self._project,
                        managedZone=self._managed_zone,
                        name=name,
                        pageToken=token,
                    )
                )
            )
            for found in page.get("rrsets", [])
        ]

    async def _changed(
        self, deletions: Sequence[_RecordSet], additions: Sequence[_RecordSet]
    ) -> bool:
        """Tell whether the change was carried out; it was not when the zone is another by now."""
        changes = cloud_dns().changes
        where = {"project": self._project, "managedZone": self._managed_zone}
        try:
            change = await self._google.ask(
                lambda: changes().create(
                    **where,
                    body={
                        "deletions": [_body(one) for one in deletions],
                        "additions": [_body(one) for one in additions],
                    },
                )
            )
        except Refused as refused:
            if refused.status in _LOST_A_RACE and await self._zone_is_there():
                return False
            raise

        async def look() -> bool | None:
            found = await self._google.ask(lambda: changes().get(**where, changeId=change["id"]))
            return True if found.get("status") == "done" else None

        await until(look, f"change {change['id']} of zone {self._managed_zone}", _PROPAGATION)
        return True

    async def _zone_is_there(self) -> bool:
        """Return whether it is; raise what says that it is not."""
        await self._google.ask(
            lambda: (
                cloud_dns()
                .managedZones()
                .get(project=self._project, managedZone=self._managed_zone)
            )
        )
        return True

    async def _agree(self, wanted: _RecordSet, name: dns.name.Name) -> None:
        rdtype = RdataType.from_text(wanted.type)
        saying = Saying(True, Rcode.NOERROR, rdtype, wanted.ttl, wanted.values)
        aim = f"{wanted} with TTL {wanted.ttl}"
        await self._authority.agree(aim, name, rdtype, lambda heard: heard == saying)


def _note(alias: dns.name.Name, uid: str, ttl: int, following: Sequence[_RecordSet]) -> _RecordSet:
    """Return the note that takes the place of those, and differs from them."""
    changes = max((_changes(note) for note in following), default=0)
    return _RecordSet(_note_name(alias), "TXT", ttl, (f'"{uid}" "{changes + 1}"',))


def _note_name(alias: dns.name.Name) -> str:
    return f"_uid.{_dotted(alias)}"


def _uid(note: _RecordSet) -> str:
    return _strings(note)[0]


def _changes(note: _RecordSet) -> int:
    strings = _strings(note)
    return int(strings[1]) if len(strings) > 1 and strings[1].isdecimal() else 0


def _strings(note: _RecordSet) -> list[str]:
    rdata = dns.rdata.from_text(dns.rdataclass.IN, RdataType.TXT, note.values[0])
    assert isinstance(rdata, TXTBase)
    return [each.decode() for each in rdata.strings]


def _body(records: _RecordSet) -> "ResourceRecordSet":
    return {
        "name": records.name,
        "type": records.type,
        "ttl": records.ttl,
        "rrdatas": list(records.values),
    }


def _dotted(name: dns.name.Name) -> str:
    return name.canonicalize().to_text()
