"""Names published by dynamic update (RFC 2136), signed (RFC 8945), and checked everywhere.

Works with every server that takes such updates; the first of the servers is the one that does.
"""

import asyncio
from collections.abc import Callable
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
from provisioning.dns.answers import Saying, Silence, ask, question
from provisioning.dns.exchange import Server, exchange
from provisioning.types import DnsFacts

UPDATE_KEY_NAME = "controlplane-update"
"""How the servers call the key whose secret is DNS_UPDATE_KEY. Algorithm: hmac-sha256."""
DEFAULT_PATIENCE = timedelta(seconds=10)
"""How long the servers have to agree after an update."""

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5
_RACES = 5
_LONGEST_ALIAS_CHAIN = 8
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
        if not servers:
            raise ValueError(f"zone {zone} needs an authoritative server: name one as ip:port")
        self._zone = dns.name.from_text(zone)
        self._servers = tuple(Server.parse(server) for server in servers)
        self._secrets = secrets
        self._patience = patience

    async def publish(self, name: str, target: str, ttl: timedelta) -> DnsFacts:
        """Make `name` an alias; an alias of something else gives way, other records do not."""
        alias, alias_of = self._inside(name), dns.name.from_text(target).canonicalize()
        await self._publish(alias, RdataType.CNAME, alias_of.to_text(), ttl)
        return DnsFacts(_plain(alias), _plain(alias_of), ttl)

    async def publish_address(self, name: str, address: str, ttl: timedelta) -> None:
        """Give `name` this one address, IPv4 or IPv6; return once every server says so."""
        rdtype = RdataType.AAAA if ip_address(address).version == 6 else RdataType.A
        await self._publish(self._inside(name), rdtype, ip_address(address).compressed, ttl)

    async def withdraw(self, name: str) -> None:
        alias = self._inside(name)
        update = await self._update()
        update.delete(alias, RdataType.CNAME)
        rcode = await self._send(update)
        if rcode != Rcode.NOERROR:
            raise self._refused(alias, rcode)
        await self._agree(f"{_plain(alias)} is withdrawn", alias, RdataType.CNAME, _denies)

    async def observe(self, name: str) -> DnsFacts | None:
        """Return what every server that answers says; None also when they differ."""
        alias = self._inside(name)
        heard = [one for one in await self._hear(alias, RdataType.CNAME) if isinstance(one, Saying)]
        if not heard:
            raise TimeoutError(f"no DNS server answers: asked {', '.join(map(str, self._servers))}")
        saying = heard[0]
        if any(one != saying for one in heard) or not saying.authoritative or saying.ttl is None:
            return None
        target = dns.name.from_text(saying.data[0])
        return DnsFacts(_plain(alias), _plain(target), timedelta(seconds=saying.ttl))

    async def resolve(self, name: str) -> str:
        """Return the IPv4 address `name` leads to, asking the authoritative servers only.

        Raise LookupError when it leads nowhere. No resolver's cache is consulted or filled.
        """
        asked = dns.name.from_text(name)
        for _ in range(_LONGEST_ALIAS_CHAIN):
            reply = await self._first_reply(question(asked, RdataType.A))
            chain = reply.resolve_chaining()
            if chain.answer is not None:
                return str(chain.answer[0].to_text())
            if chain.canonical_name == asked:
                break
            asked = chain.canonical_name
        raise LookupError(f"{name} has no address: its name servers know none for {_plain(asked)}")

    async def _publish(
        self, name: dns.name.Name, rdtype: RdataType, data: str, ttl: timedelta
    ) -> None:
        seconds = int(ttl.total_seconds())
        await self._replace(name, rdtype, data, seconds)
        wanted = Saying(True, Rcode.NOERROR, rdtype, seconds, (data,))
        aim = f"{_plain(name)} is {RdataType.to_text(rdtype)} {data} with TTL {seconds}"
        await self._agree(aim, name, rdtype, lambda heard: heard == wanted)

    async def _replace(self, name: dns.name.Name, rdtype: RdataType, data: str, ttl: int) -> None:
        """Put the one record in place of others of its type, and of no other type.

        The conditions are the server's to check, together with the change. A repetition finds the
        name in use, and replaces the record by itself.
        """
        for _ in range(_RACES):
            add = await self._update()
            add.absent(name)
            add.add(name, ttl, rdtype, data)
            rcode = await self._send(add)
            if rcode == Rcode.YXDOMAIN:
                replace = await self._update()
                replace.present(name, rdtype)
                replace.replace(name, ttl, rdtype, data)
                rcode = await self._send(replace)
            if rcode == Rcode.NOERROR:
                return
            if rcode != Rcode.NXRRSET:
                raise self._refused(name, rcode)
            others = (await exchange(question(name, RdataType.ANY), self._servers[0])).answer
            if others:
                there = "; ".join(line for each in others for line in each.to_text().splitlines())
                raise rejected(
                    f"{_plain(name)} cannot become a {RdataType.to_text(rdtype)} record, for it "
                    f"is taken: {there}: remove that from zone {_plain(self._zone)} first"
                )
        raise RuntimeError(f"{_plain(name)} kept changing while it was being published")

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
                f"{text} to an update of {_plain(name)}: allow key {UPDATE_KEY_NAME!r} to update "
                f"zone {_plain(self._zone)} there"
            )
        return RuntimeError(f"{text} to an update of {_plain(name)}")

    async def _agree(
        self,
        aim: str,
        name: dns.name.Name,
        rdtype: RdataType,
        agrees: Callable[[Saying | Silence], bool],
    ) -> None:
        """Wait until every server agrees; raise TimeoutError saying which ones do not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.total_seconds()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            heard = await self._hear(name, rdtype)
            dissent = [
                f"{server} {one}"
                for server, one in zip(self._servers, heard, strict=True)
                if not agrees(one)
            ]
            if not dissent:
                return
            if loop.time() > deadline:
                raise TimeoutError(
                    f"not every DNS server says after {self._patience.total_seconds():g} s that "
                    f"{aim}: {'; '.join(dissent)}"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _hear(self, name: dns.name.Name, rdtype: RdataType) -> list[Saying | Silence]:
        return await asyncio.gather(*(ask(server, name, rdtype) for server in self._servers))

    async def _first_reply(self, query: dns.message.QueryMessage) -> dns.message.QueryMessage:
        silent: TimeoutError | None = None
        for server in self._servers:
            try:
                reply = await exchange(query, server)
            except TimeoutError as error:
                silent = error
            else:
                assert isinstance(reply, dns.message.QueryMessage)
                return reply
        assert silent is not None
        raise silent

    def _inside(self, name: str) -> dns.name.Name:
        inside = dns.name.from_text(name)
        if not inside.is_subdomain(self._zone) or inside == self._zone:
            raise ValueError(f"{name} is not a name under {_plain(self._zone)}")
        return inside


def _denies(heard: Saying | Silence) -> bool:
    return isinstance(heard, Saying) and heard.denies


def _plain(name: dns.name.Name) -> str:
    return name.canonicalize().to_text(omit_final_dot=True)
