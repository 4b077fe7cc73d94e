"""A cloud kept in memory, and the world it is part of: it holds what was made, and can fail."""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from cells.life.types import Blueprint
from cells.providers.ports import Variable
from cells.providers.types import Account, ClusterAccess, DatabaseLogin, Foundation
from controlplane.errors import rejected


class Things(Protocol):
    """What there is in a world."""

    def make(self, thing: str) -> None: ...

    def unmake(self, thing: str) -> None: ...

    def all(self) -> Sequence[str]: ...


@dataclass
class MemoryThings:
    there: dict[str, None] = field(default_factory=dict)
    """In the order in which they were made."""
    made: Counter[str] = field(default_factory=Counter)
    """How often each was made anew."""

    def make(self, thing: str) -> None:
        if thing not in self.there:
            self.there[thing] = None
            self.made[thing] += 1

    def unmake(self, thing: str) -> None:
        self.there.pop(thing, None)

    def all(self) -> Sequence[str]:
        return tuple(self.there)


class Moment(StrEnum):
    """When a call fails."""

    BEFORE = "before"
    """Nothing has happened yet."""
    HALFWAY = "halfway"
    """Some of it has, where there is a half."""
    AFTER = "after"
    """All has, and nobody hears of it."""


@dataclass
class PlannedFault:
    """A fault of calls to come."""

    call: str
    """Such as `ensure_account`, or `infrastructure.build`."""
    moment: Moment
    cell: str = ""
    """Empty for every cell."""
    error: Callable[[], Exception] = lambda: ConnectionError("the connection was reset")
    times: int | None = None
    """How many calls it still hits; None for all."""


@dataclass
class MemoryLand:
    """One world, which the adapters of one test or trial share."""

    things: Things = field(default_factory=MemoryThings)
    faults: list[PlannedFault] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    """The calls that do not end, having done half of it, as long as they are in here."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Each with the cell that it was for, in the order in which they were begun."""

    def has(self, thing: str) -> bool:
        return thing in self.things.all()

    def require(self, *things: str) -> None:
        """Raise what says which of these are not there."""
        if missing := [thing for thing in things if not self.has(thing)]:
            raise rejected(f"there is no {', no '.join(missing)}")

    @asynccontextmanager
    async def during(self, call: str, cell: str) -> AsyncIterator["Call"]:
        self.calls.append((call, cell))
        begun = Call(call, cell, self)
        begun.strike(Moment.BEFORE)
        yield begun
        begun.strike(Moment.AFTER)


@dataclass(frozen=True)
class Call:
    name: str
    cell: str
    land: MemoryLand

    async def halfway(self) -> None:
        self.strike(Moment.HALFWAY)
        while self.name in self.land.held:  # noqa: ASYNC110 - who lets go of it is not known
            await asyncio.sleep(0.02)

    def strike(self, moment: Moment) -> None:
        for fault in self.land.faults:
            is_meant = fault.call == self.name and fault.cell in ("", self.cell)
            if is_meant and fault.moment is moment and fault.times != 0:
                fault.times = None if fault.times is None else fault.times - 1
                raise fault.error()


@dataclass
class MemoryCloud:
    """Meets `cells.providers.ports.Cloud`."""

    land: MemoryLand
    against: list[str] = field(default_factory=list)
    """What stands against any cell."""

    async def obstacles(self, blueprint: Blueprint) -> Sequence[str]:
        async with self.land.during("obstacles", blueprint.cell):
            return list(self.against)

    async def ensure_account(self, blueprint: Blueprint) -> Account:
        async with self.land.during("ensure_account", blueprint.cell) as call:
            await call.halfway()
            account = account_of(blueprint)
            self.land.things.make(f"account {account.id}")
        return account

    async def find_account(self, blueprint: Blueprint) -> Account | None:
        async with self.land.during("find_account", blueprint.cell):
            account = account_of(blueprint)
            return account if self.land.has(f"account {account.id}") else None

    async def close_account(self, blueprint: Blueprint, account: Account) -> None:
        async with self.land.during("close_account", blueprint.cell):
            if left := self._in(account):
                raise rejected(f"{blueprint.cell} would lose {', '.join(left)}")
            self.land.things.unmake(f"account {account.id}")

    async def leftovers(self, blueprint: Blueprint, account: Account) -> Sequence[str]:
        async with self.land.during("leftovers", blueprint.cell):
            return self._in(account)

    def variables(self, blueprint: Blueprint, account: Account) -> Mapping[str, Variable]:
        return {"cell": blueprint.cell, "account": account.id, "network": blueprint.network}

    async def environment(self, account: Account) -> Mapping[str, str]:
        return {"ACCOUNT": account.id}

    def backend(self, blueprint: Blueprint) -> Mapping[str, str]:
        return {"type": "local", "path": f"{blueprint.uid}.tfstate"}

    async def cluster_access(self, foundation: Foundation) -> ClusterAccess:
        expires_at = datetime.now(UTC) + timedelta(minutes=15)
        return ClusterAccess(foundation.cluster, "a token", expires_at)

    async def database_login(self, foundation: Foundation) -> DatabaseLogin:
        return DatabaseLogin(f"root of {foundation.database}", "a password")

    def _in(self, account: Account) -> list[str]:
        prefix = f"{account.id}/"
        return [thing for thing in self.land.things.all() if thing.startswith(prefix)]


def account_of(blueprint: Blueprint) -> Account:
    """Return the account in which a cell is, or would be."""
    number = f"{zlib.crc32(blueprint.uid.encode()):012d}"
    return Account(number, f"arn:aws:iam::{number}:role/cell")
