"""What new cells are given that no other cell has, nor had: a name, a number, a network.

A blueprint is claimed before the cell's life hears of it. Dying in between leaves a claim that
nobody sees and that the caller's retry takes up.
"""

import secrets
import string
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from cells.life.types import Blueprint
from cells.types import Capacity, Provider
from controlplane.errors import already_exists, failed_precondition
from controlplane.settings import CELL_PREFIX
from controlplane.store.pool import Pool

NUMBERED_OTHERWISE = 1000
"""Initial failover versions up to this are for cells that are not built here, such as those of the
embedded fleet, which counts its own."""
_LARGEST_NUMBER = 999_999
"""Failover versions rise by a million at a time, and what is left over tells the cell."""

_LOCK = 0x63656C6C  # Held while a cell is given something: "cell" in ASCII.
_LETTERS_AND_DIGITS = string.ascii_lowercase + string.digits
_CLAIMED = """
SELECT asked, blueprint::text, requested_by FROM cell_blueprints
WHERE account_id = %(account)s AND operation = %(operation)s AND NOT withdrawn
"""
_TAKEN = """
SELECT EXISTS (SELECT FROM cells WHERE id = %(cell)s)
    OR EXISTS (SELECT FROM cell_lives WHERE cell = %(cell)s)
    OR EXISTS (SELECT FROM cell_blueprints WHERE cell = %(cell)s AND NOT withdrawn)
"""
_LAST_NUMBER = """
SELECT greatest(
    (SELECT max(failover_version) FROM cell_blueprints),
    (SELECT max((view #>> '{spec,failover_version}')::integer) FROM cells),
    %s
)
"""
_NETWORKS = "SELECT network::text FROM cell_blueprints"
_KEEP = """
INSERT INTO cell_blueprints (uid, account_id, operation, asked, requested_by, cell,
                             failover_version, network, blueprint)
VALUES (%(uid)s, %(account)s, %(operation)s, %(asked)s, %(requested_by)s, %(cell)s,
        %(failover_version)s, %(network)s, %(blueprint)s)
"""
_WITHDRAW = """
UPDATE cell_blueprints SET withdrawn = true
WHERE account_id = %(account)s AND operation = %(operation)s AND NOT withdrawn
"""


@dataclass(frozen=True)
class AskedCell:
    """A cell as people ask for it."""

    cell: str
    provider: Provider
    region: str
    ring: int
    server_version: str
    capacity: Capacity
    history_shards: int
    failure_domain: str


_ASKED = TypeAdapter(AskedCell)
_BLUEPRINT = TypeAdapter(Blueprint)


@dataclass(frozen=True)
class ClaimedBlueprint:
    blueprint: Blueprint
    requested_by: str


@dataclass(frozen=True)
class CellBlueprints:
    pool: Pool
    pools: Sequence[IPv4Network]
    """Where cells' networks are taken from."""

    async def claim(
        self, asked: AskedCell, operation: str, account: str, by: str
    ) -> ClaimedBlueprint:
        """Return the blueprint of what is asked for under this id, made now unless it was before.

        Raise `already_exists` when the id stands for another cell, or the name for any.
        """
        async with self.pool.connection() as connection, connection.transaction():
            return await self._claim(connection, asked, operation, account, by)

    async def preview(self, asked: AskedCell, account: str) -> Blueprint:
        """Return what the cell would be if it were asked for now; nothing is given away."""
        async with (
            self.pool.connection() as connection,
            connection.transaction(force_rollback=True),
        ):
            return (await self._claim(connection, asked, "", account, "")).blueprint

    async def withdraw(self, operation: str, account: str) -> None:
        """Forget the claim of a request that was refused: its name and its id are free again."""
        async with self.pool.connection() as connection:
            await connection.execute(_WITHDRAW, {"account": account, "operation": operation})

    async def _claim(
        self,
        connection: AsyncConnection[TupleRow],
        asked: AskedCell,
        operation: str,
        account: str,
        by: str,
    ) -> ClaimedBlueprint:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        values: dict[str, object] = {"account": account, "operation": operation}
        content = _ASKED.dump_json(asked).decode()
        known = await (await connection.execute(_CLAIMED, values)).fetchone()
        if known is not None:
            if known[0] != content:
                raise already_exists(
                    f"operation {operation!r} already stands for another cell: choose another id"
                )
            return ClaimedBlueprint(_BLUEPRINT.validate_json(known[1]), str(known[2]))
        await _check_name(connection, asked.cell)
        blueprint = Blueprint(
            **vars(asked),
            uid=_new_uid(),
            failover_version=await _next_number(connection),
            network=str(await self._free_network(connection)),
        )
        await connection.execute(
            _KEEP,
            {
                **values,
                "uid": blueprint.uid,
                "asked": content,
                "requested_by": by,
                "cell": blueprint.cell,
                "failover_version": blueprint.failover_version,
                "network": blueprint.network,
                "blueprint": _BLUEPRINT.dump_json(blueprint).decode(),
            },
        )
        return ClaimedBlueprint(blueprint, by)

    async def _free_network(self, connection: AsyncConnection[TupleRow]) -> IPv4Network:
        rows = await (await connection.execute(_NETWORKS)).fetchall()
        given = [IPv4Network(network) for (network,) in rows]
        free = next_network(self.pools, given)
        if free is None:
            raise failed_precondition(
                f"all networks of {', '.join(map(str, self.pools))} were given to cells, and none "
                "is given twice: add another range to CONTROLPLANE_CELL_NETWORKS"
            )
        return free


def next_network(
    pools: Sequence[IPv4Network], given: Collection[IPv4Network]
) -> IPv4Network | None:
    """Return the first network of a cell's size that nobody was given; None when all were."""
    return next(
        (
            network
            for pool in pools
            for network in pool.subnets(new_prefix=CELL_PREFIX)
            if not any(network.overlaps(other) for other in given)
        ),
        None,
    )


async def _check_name(connection: AsyncConnection[TupleRow], cell: str) -> None:
    row = await (await connection.execute(_TAKEN, {"cell": cell})).fetchone()
    if row is not None and row[0]:
        raise already_exists(
            f"the name {cell!r} is taken by a cell that is there, or was: choose another, since "
            "none is ever used again"
        )


async def _next_number(connection: AsyncConnection[TupleRow]) -> int:
    row = await (await connection.execute(_LAST_NUMBER, (NUMBERED_OTHERWISE,))).fetchone()
    number = 1 + (int(row[0]) if row is not None else NUMBERED_OTHERWISE)
    if number > _LARGEST_NUMBER:
        raise failed_precondition(
            f"all initial failover versions up to {_LARGEST_NUMBER} were given to cells, and none "
            "is given twice"
        )
    return number


def _new_uid() -> str:
    rest = (secrets.choice(_LETTERS_AND_DIGITS) for _ in range(7))
    return secrets.choice(string.ascii_lowercase) + "".join(rest)
