"""Releases: made once, under a name that is never used again, and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from cells.release import Release
from controlplane.errors import already_exists
from controlplane.store.pool import Pool

_RELEASE = TypeAdapter(Release)

_CREATE = """
INSERT INTO releases (name, digest, server_version, created_by, body)
VALUES (%(name)s, %(digest)s, %(server_version)s, %(created_by)s, %(body)s)
ON CONFLICT (name) DO NOTHING
"""
_READ: LiteralString = "SELECT number, body::text, created_at, created_by FROM releases "
_ONE = _READ + "WHERE name = %(name)s"
_PAGE = (
    _READ
    + "WHERE %(before)s::bigint IS NULL OR number < %(before)s ORDER BY number DESC LIMIT %(limit)s"
)

_SERVER_VERSIONS = "SELECT DISTINCT server_version FROM releases WHERE server_version <> ''"


@dataclass(frozen=True)
class KeptRelease:
    number: int
    """Rises with every release that is made."""
    release: Release
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class Releases:
    pool: Pool

    async def create(self, release: Release, by: str) -> KeptRelease:
        """Keep the release, or return the one that is there already with the same content.

        Raise `already_exists`, naming both digests, when the name stands for other content.
        """
        await self._rows(
            _CREATE,
            {
                "name": release.name,
                "digest": release.digest,
                "server_version": release.server_version,
                "created_by": by,
                "body": _RELEASE.dump_json(release).decode(),
            },
        )
        kept = await self.get(release.name)
        if kept is None:
            raise RuntimeError(f"release {release.name} was kept, and is not there")
        if kept.release.digest != release.digest:
            raise already_exists(
                f"release {release.name!r} is already there, with the digest "
                f"{kept.release.digest}; this one has {release.digest}: nothing of a release ever "
                "changes, give this one another name"
            )
        return kept

    async def get(self, name: str) -> KeptRelease | None:
        found = await self._rows(_ONE, {"name": name})
        return _kept(found[0]) if found else None

    async def page(self, *, before: int | None = None, limit: int) -> list[KeptRelease]:
        """Return up to `limit` releases, newest first, those numbered below `before`."""
        return list(map(_kept, await self._rows(_PAGE, {"before": before, "limit": limit})))

    async def server_versions(self) -> list[str]:
        """Return the versions of the server that any release brings."""
        return [str(version) for (version,) in await self._rows(_SERVER_VERSIONS, {})]

    async def _rows(self, query: LiteralString, values: Mapping[str, object]) -> Sequence[TupleRow]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []


def _kept(row: TupleRow) -> KeptRelease:
    number, body, created_at, created_by = row
    return KeptRelease(number, _RELEASE.validate_json(body), created_at, created_by)
