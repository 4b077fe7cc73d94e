"""Cells that keep their copy of the keys in memory, for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cells.ingress.keys import KeyRow, SigningKeyRow


@dataclass(frozen=True)
class AccountCopy:
    revision: int
    keys: dict[str, KeyRow]


@dataclass(frozen=True)
class MemoryCellKeys:
    """Implements `controlplane.identity.cell_keys.CellKeys`."""

    copies: dict[tuple[str, str], AccountCopy] = field(default_factory=dict)
    """What each cell enforces for each account."""
    signing_keys: dict[str, dict[str, SigningKeyRow]] = field(default_factory=dict)
    """By cell and key id."""
    unreachable: set[str] = field(default_factory=set)
    """Cells that refuse every connection."""
    writes: list[tuple[str, str]] = field(default_factory=list)
    """Cell and account of each write that arrived, in order."""

    async def write(self, cell: str, account: str, revision: int, keys: Sequence[KeyRow]) -> None:
        self._reach(cell)
        self.writes.append((cell, account))
        known = self.copies.get((cell, account))
        if known is None or known.revision <= revision:
            self.copies[cell, account] = AccountCopy(revision, {key.key_id: key for key in keys})

    async def write_signing_keys(self, cell: str, keys: Sequence[SigningKeyRow]) -> None:
        self._reach(cell)
        self.signing_keys[cell] = {key.kid: key for key in keys}

    def _reach(self, cell: str) -> None:
        if cell in self.unreachable:
            raise ConnectionError(f"cell {cell} cannot be reached")
