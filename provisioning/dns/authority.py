"""What a zone's authoritative servers say, all of them: who publishes a name waits for that."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import dns.message
import dns.name
from dns.rdatatype import RdataType

from provisioning.dns.answers import Saying, Silence, ask, question
from provisioning.dns.exchange import Server, exchange
from provisioning.types import DnsFacts

DEFAULT_PATIENCE = timedelta(seconds=10)
"""How long the servers have to agree after a change."""

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5
_LONGEST_ALIAS_CHAIN = 8


@dataclass(frozen=True)
class Authority:
    """The authoritative servers of one zone."""

    zone: dns.name.Name
    servers: tuple[Server, ...]
    patience: timedelta = DEFAULT_PATIENCE

    @classmethod
    def parse(
        cls, zone: str, servers: tuple[str, ...], patience: timedelta = DEFAULT_PATIENCE
    ) -> "Authority":
        """Read the servers, each `ip:port`."""
        if not servers:
            raise ValueError(f"zone {zone} needs an authoritative server: name one as ip:port")
        parsed = tuple(Server.parse(server) for server in servers)
        return cls(dns.name.from_text(zone), parsed, patience)

    def inside(self, name: str) -> dns.name.Name:
        """Return the name, which must lie under the zone."""
        inside = dns.name.from_text(name)
        if not inside.is_subdomain(self.zone) or inside == self.zone:
            raise ValueError(f"{name} is not a name under {plain(self.zone)}")
        return inside

    async def observe(self, name: str) -> DnsFacts | None:
        """Return what every server that answers says; None also when they differ."""
        alias = self.inside(name)
        heard = [one for one in await self._hear(alias, RdataType.CNAME) if isinstance(one, Saying)]
        if not heard:
            raise TimeoutError(f"no DNS server answers: asked {', '.join(map(str, self.servers))}")
        saying = heard[0]
        if any(one != saying for one in heard) or not saying.authoritative or saying.ttl is None:
            return None
        target = dns.name.from_text(saying.data[0])
        return DnsFacts(plain(alias), plain(target), timedelta(seconds=saying.ttl))

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
        raise LookupError(f"{name} has no address: its name servers know none for {plain(asked)}")

    async def agree(
        self,
        aim: str,
        name: dns.name.Name,
        rdtype: RdataType,
        agrees: Callable[[Saying | Silence], bool],
    ) -> None:
        """Wait until every server agrees; raise TimeoutError saying which ones do not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience.total_seconds()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            heard = await self._hear(name, rdtype)
            dissent = [
                f"{server} {one}"
                for server, one in zip(self.servers, heard, strict=True)
                if not agrees(one)
            ]
            if not dissent:
                return
            if loop.time() > deadline:
                raise TimeoutError(
                    f"not every DNS server says after {self.patience.total_seconds():g} s that "
                    f"{aim}: {'; '.join(dissent)}"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _hear(self, name: dns.name.Name, rdtype: RdataType) -> list[Saying | Silence]:
        return await asyncio.gather(*(ask(server, name, rdtype) for server in self.servers))

    async def _first_reply(self, query: dns.message.QueryMessage) -> dns.message.QueryMessage:
        silent: TimeoutError | None = None
        for server in self.servers:
            try:
                reply = await exchange(query, server)
            except TimeoutError as error:
                silent = error
            else:
                assert isinstance(reply, dns.message.QueryMessage)
                return reply
        assert silent is not None
        raise silent


def denies(heard: Saying | Silence) -> bool:
    """Tell whether a server says, with authority, that there is no such record."""
    return isinstance(heard, Saying) and heard.denies


def plain(name: dns.name.Name) -> str:
    return name.canonicalize().to_text(omit_final_dot=True)
