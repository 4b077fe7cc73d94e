"""Names published by dynamic update (RFC 2136), signed (RFC 8945), and checked everywhere.

Works with every server that takes such updates; the first of the servers is the one that does.
Beside each alias, under `_uid.`, stands for which incarnation of a namespace it was published. The
server checks that together with the change, so that a late call for an earlier one does nothing.
"""

from datetime import timedelta
from ipaddress import ip_address

import dns.message
import dns.name
import dns.tsig
import dns.update
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from temporalio.exceptions import ApplicationError

from controlplane.errors import rejected
from controlplane.secrets.port import DNS_UPDATE_KEY, SecretStore
from provisioning.dns.answers import Saying, question
from provisioning.dns.authority import DEFAULT_PATIENCE, Authority, denies, plain
from provisioning.dns.exchange import exchange
from provisioning.dns.records import Record
from provisioning.types import DnsFacts

UPDATE_KEY_NAME = "controlplane-update"
"""How the servers call the key whose secret is DNS_UPDATE_KEY. Algorithm: hmac-sha256."""

_OWNER = dns.name.Name(["_uid"])
_RACES = 5
_CONDITION_FAILED = (Rcode.YXDOMAIN, Rcode.NXDOMAIN, Rcode.YXRRSET, Rcode.NXRRSET)
_REFUSALS = (Rcode.REFUSED, Rcode.NOTAUTH, Rcode.NOTZONE, Rcode.NOTIMP)


class Rfc2136Dns:
    """The fleet's zone; adapter of `provisioning.ports.Dns`."""

    def __init__(
        self,
        zone: str,
        servers: tuple[str, ...],
        secrets: SecretStore,
        patience: timedelta = DEFAULT_PATIENCE,
    ) -> None:
        """`servers` are the zone's authoritative ones, each `ip:port`."""
        self._authority = Authority.parse(zone, servers, patience)
        self._zone = self._authority.zone
        self._servers = self._authority.servers
        self._secrets = secrets

    async def publish(self, name: str, target: str, ttl: timedelta, uid: str) -> DnsFacts:
        """Make `name` an alias; an alias of something else gives way, other records do not."""
        alias, alias_of = self._authority.inside(name), dns.name.from_text(target).canonicalize()
        record = Record(alias, RdataType.CNAME, alias_of.to_text())
        await self._publish(record, ttl, _owner(alias, uid))
        return DnsFacts(plain(alias), plain(alias_of), ttl)

    async def publish_address(self, name: str, address: str, ttl: timedelta) -> None:
        """Give `name` this one address, IPv4 or IPv6; return once every server says so."""
        rdtype = RdataType.AAAA if ip_address(address).version == 6 else RdataType.A
        record = Record(self._authority.inside(name), rdtype, ip_address(address).compressed)
        await self._publish(record, ttl)

    async def withdraw(self, name: str, uid: str) -> None:
        alias = self._authority.inside(name)
        owner = _owner(alias, uid)
        # Nobody's, when an earlier call came through, or when the alias is older than such notes.
        for condition in (owner.is_there, owner.type_is_absent):
            update = await self._update()
            condition(update)
            update.delete(alias, RdataType.CNAME)
            update.delete(owner.name, owner.type)
            rcode = await self._send(update)
            if rcode == Rcode.NOERROR:
                aim = f"{plain(alias)} is withdrawn"
                return await self._authority.agree(aim, alias, RdataType.CNAME, denies)
            if rcode not in _CONDITION_FAILED:
                raise self._refused(alias, rcode)
        return None

    async def withdraw_address(self, name: str) -> None:
        """Remove every address of `name`; return once every server denies them."""
        host, types = self._authority.inside(name), (RdataType.A, RdataType.AAAA)
        update = await self._update()
        for rdtype in types:
            update.delete(host, rdtype)
        rcode = await self._send(update)
        if rcode != Rcode.NOERROR:
            raise self._refused(host, rcode)
        for rdtype in types:
            aim = f"{plain(host)} has no {RdataType.to_text(rdtype)}"
            await self._authority.agree(aim, host, rdtype, denies)

    async def observe(self, name: str) -> DnsFacts | None:
        """Return what every server that answers says; None also when they differ."""
        return await self._authority.observe(name)

    async def resolve(self, name: str) -> str:
        """Return the IPv4 address `name` leads to, asking the authoritative servers only.

        Raise LookupError when it leads nowhere. No resolver's cache is consulted or filled.
        """
        return await self._authority.resolve(name)

    async def _publish(self, record: Record, ttl: timedelta, owner: Record | None = None) -> None:
        seconds = int(ttl.total_seconds())
        await self._replace(record, seconds, owner)
        wanted = Saying(True, Rcode.NOERROR, record.type, seconds, (record.data,))
        aim = f"{record} with TTL {seconds}"
        await self._authority.agree(aim, record.name, record.type, lambda heard: heard == wanted)

    async def _replace(self, record: Record, ttl: int, owner: Record | None) -> None:
        """Put the one record in place of others of its type, and of no other type.

        The conditions are the server's to check, together with the change. Most often the name
        is not in use; a repetition finds it in use, and replaces the record by itself.
        """
        unowned = [] if owner is None else [owner.type_is_absent]
        ours = [] if owner is None else [owner.is_there]
        situations = (
            [record.name_is_unused, *unowned],
            [record.type_is_there, *ours],
            [record.name_is_unused, *ours],
            [record.type_is_there, *unowned],
        )
        for _ in range(_RACES):
            for situation in situations:
                update = await self._update()
                for condition in situation:
                    condition(update)
                for each in (record, owner):
                    if each is not None:
                        update.replace(each.name, ttl, each.type, each.data)
                rcode = await self._send(update)
                if rcode == Rcode.NOERROR:
                    return
                if rcode not in _CONDITION_FAILED:
                    raise self._refused(record.name, rcode)
            await self._refuse_taken(record, owner)
        raise RuntimeError(f"{plain(record.name)} kept changing while it was being published")

    async def _refuse_taken(self, record: Record, owner: Record | None) -> None:
        """Return if the name can be had, and merely changed while it was being published."""
        if owner is not None:
            for other in await self._records(owner.name):
                if other.type == owner.type and other.data != owner.data:
                    raise rejected(
                        f"{plain(record.name)} was published for incarnation {other.data}, not "
                        f"{owner.data}: delete that namespace first, or remove {plain(owner.name)}"
                    )
        others = [one for one in await self._records(record.name) if one.type != record.type]
        if others:
            raise rejected(
                f"{plain(record.name)} cannot become a {RdataType.to_text(record.type)} record, "
                f"for it is taken: {'; '.join(map(str, others))}: remove that from zone "
                f"{plain(self._zone)} first"
            )

    async def _records(self, name: dns.name.Name) -> list[Record]:
        """Return what the first server has at the name."""
        reply = await exchange(question(name, RdataType.ANY), self._servers[0])
        return [
            Record(rrset.name, rrset.rdtype, rdata.to_text())
            for rrset in reply.answer
            if rrset.name == name
            for rdata in rrset
        ]

    async def _update(self) -> dns.update.UpdateMessage:
        secret = await self._secrets.get(DNS_UPDATE_KEY)
        if secret is None:
            raise RuntimeError(
                f"the secret store holds no {DNS_UPDATE_KEY!r}: put the zone's update key there, "
                "as Base64"
            )
        key = dns.tsig.Key(UPDATE_KEY_NAME, secret.decode(), dns.tsig.HMAC_SHA256)
        return dns.update.UpdateMessage(self._zone, keyring=key)

    async def _send(self, update: dns.update.UpdateMessage) -> Rcode:
        primary = self._servers[0]
        try:
            return (await exchange(update, primary)).rcode()
        except dns.tsig.PeerBadKey:
            raise rejected(
                f"DNS server {primary} has no update key {UPDATE_KEY_NAME!r}: configure it there, "
                f"with the secret kept as {DNS_UPDATE_KEY!r}"
            ) from None
        except dns.tsig.PeerBadSignature:
            raise rejected(
                f"DNS server {primary} has another secret for the update key "
                f"{UPDATE_KEY_NAME!r} than the one kept as {DNS_UPDATE_KEY!r}: make them the same"
            ) from None
        except dns.tsig.PeerBadTime:
            raise RuntimeError(
                f"the clocks of DNS server {primary} and of this machine differ by more than "
                "five minutes: synchronise them"
            ) from None

    def _refused(self, name: dns.name.Name, rcode: Rcode) -> ApplicationError | RuntimeError:
        text = f"DNS server {self._servers[0]} answers {Rcode.to_text(rcode)}"
        if rcode in _REFUSALS:
            return rejected(
                f"{text} to an update of {plain(name)}: allow key {UPDATE_KEY_NAME!r} to update "
                f"zone {plain(self._zone)} there"
            )
        return RuntimeError(f"{text} to an update of {plain(name)}")


def _owner(alias: dns.name.Name, uid: str) -> Record:
    """Return the record that notes for which incarnation the alias was published."""
    return Record(_OWNER + alias, RdataType.TXT, f'"{uid}"')
