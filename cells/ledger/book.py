"""Leases in force, found by what they stand in the way of."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from cells.ledger.types import Lease

ROOM = 1_200_000
"""Bytes of all leases together: the state has to fit into one message of the engine, 2 MB."""


class Book:
    """Leases by cell, by namespace and by scope.

    The dict it is made of stays the truth; the rest is derived from it, and a change of one lease
    costs what that lease names, however many there are.
    """

    def __init__(self, leases: dict[str, Lease]) -> None:
        self._leases = leases
        self._cells_of_namespaces: dict[str, str] = {}
        self._cells_of_scopes: defaultdict[str, set[str]] = defaultdict(set)
        self._caps: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.size = 0
        """Of all leases together, bytes as they are carried, roughly."""
        for lease in leases.values():
            self._index(lease)

    def at(self, cell: str) -> Lease | None:
        return self._leases.get(cell)

    def of_namespace(self, namespace: str) -> Lease | None:
        """Return the one lease under which a cell of this namespace is disturbed."""
        cell = self._cells_of_namespaces.get(namespace)
        return None if cell is None else self._leases[cell]

    def all(self) -> list[Lease]:
        """Return every lease, the latest first."""
        return sorted(self._leases.values(), key=lambda lease: -lease.number)

    def of_scopes(self, scopes: Iterable[str]) -> list[Lease]:
        """Return the leases that count for any of these scopes, the latest first."""
        cells = set().union(*(self._cells_of_scopes.get(scope, ()) for scope in scopes))
        return sorted(map(self._leases.__getitem__, cells), key=lambda lease: -lease.number)

    def count(self, scope: str) -> int:
        return len(self._cells_of_scopes.get(scope, ()))

    def strictest_cap(self, scope: str) -> int | None:
        """Return the lowest cap that holders of leases in this scope asked for."""
        return min(self._caps.get(scope, ()), default=None)

    def enter(self, lease: Lease) -> None:
        """Put a lease in force, in the place of the cell's earlier one."""
        self.strike(lease.cell)
        self._leases[lease.cell] = lease
        self._index(lease)

    def strike(self, cell: str) -> None:
        lease = self._leases.pop(cell, None)
        if lease is None:
            return
        self.size -= size_of(lease)
        for namespace in lease.namespaces:
            del self._cells_of_namespaces[namespace]
        for scope in lease.scopes:
            self._cells_of_scopes[scope].remove(cell)
            if not self._cells_of_scopes[scope]:
                del self._cells_of_scopes[scope]
        for cap in lease.caps:
            self._caps[cap.scope][cap.most] -= 1
            self._caps[cap.scope] += Counter()  # Leaves out what is at nought.
            if not self._caps[cap.scope]:
                del self._caps[cap.scope]

    def _index(self, lease: Lease) -> None:
        self.size += size_of(lease)
        self._cells_of_namespaces.update(dict.fromkeys(lease.namespaces, lease.cell))
        for scope in lease.scopes:
            self._cells_of_scopes[scope].add(lease.cell)
        for cap in lease.caps:
            self._caps[cap.scope][cap.most] += 1


_FIXED = 250
_PER_NAME = 4
"""Bytes of quotes, commas and keys."""


def size_of(lease: Lease) -> int:
    """Return how many bytes a lease takes as JSON, roughly, and rather more than less."""
    names = (
        lease.cell,
        lease.holder,
        *lease.namespaces,
        *lease.scopes,
        *lease.components,
        *(f"scope most {cap.scope}" for cap in lease.caps),
    )
    return _FIXED + sum(len(name.encode()) + _PER_NAME for name in names)
