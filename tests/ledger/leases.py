"""Questions to the ledger, as tests ask them, and the law that its leases obey."""

from collections import Counter
from collections.abc import Iterable

from cells.ledger.types import Acquire, Cap, Lease, Purpose


def asking(
    cell: str,
    holder: str = "rollout/r1",
    *,
    namespaces: Iterable[str] = (),
    caps: dict[str, int] | None = None,
    scopes: Iterable[str] = (),
    purpose: Purpose = Purpose.ROLLOUT,
) -> Acquire:
    """Return a question; the cell counts for every scope that is capped."""
    caps = caps or {}
    return Acquire(
        cell,
        holder,
        purpose,
        tuple(namespaces),
        (*scopes, *caps),
        tuple(Cap(scope, most) for scope, most in caps.items()),
    )


def violations(leases: Iterable[Lease]) -> list[str]:
    """Return what is wrong with leases that are in force together."""
    leases = list(leases)
    cells = Counter(lease.cell for lease in leases)
    namespaces = Counter(namespace for lease in leases for namespace in set(lease.namespaces))
    scopes = Counter(scope for lease in leases for scope in set(lease.scopes))
    return [
        *(f"{cell} is leased {n} times" for cell, n in cells.items() if n > 1),
        *(f"{n} cells of {name} are disturbed" for name, n in namespaces.items() if n > 1),
        *(
            f"{scopes[cap.scope]} cells of {cap.scope}, and {lease.holder} wants {cap.most} at most"
            for lease in leases
            for cap in lease.caps
            if scopes[cap.scope] > cap.most
        ),
    ]
