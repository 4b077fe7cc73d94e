"""What the making of a cell's stores asks of others."""

from typing import Protocol

from cells.providers.types import DatabaseLogin, Foundation


class DatabaseLogins(Protocol):
    """The part of `cells.providers.ports.Cloud` that lets us into a PostgreSQL server."""

    async def database_login(self, foundation: Foundation) -> DatabaseLogin: ...


class PeerAuthority(Protocol):
    """Who certifies what cells show each other's ingresses."""

    async def certify(self, cell: str) -> bytes:
        """Return a new certificate by which other cells know this one, then its key: PEM."""
        ...
