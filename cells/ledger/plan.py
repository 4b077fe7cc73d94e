"""Who may disturb a cell. Pure, like everything that decides.

Nobody ever waits here: who may not is refused at once, told who is in the way, and asks again when
it likes. A holder asks for one place at a time. The lease of a cell ends when what is done there
ends, which never depends on being given another; what is held for longer, such as the components
that a rollout writes, is asked for first, by everybody in one order. So there is no circle of
holders that wait for each other, and no deadlock.

The cost of a question is that of what it names, its namespaces above all; only a refusal looks at
the other leases of the cell's scopes (at all leases where the ledger is full).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from cells.ledger.book import ROOM, Book, size_of
from cells.ledger.types import (
    Acquire,
    Answer,
    Cap,
    Conflict,
    ConflictKind,
    Fence,
    Fenced,
    GiveBack,
    Lease,
)

FENCED_KEPT = 100
"""How many of the leases that operators fenced are remembered."""
LONGEST_REASON = 1000
_NO_CAP = 1 << 30
_WHENEVER = datetime.min.replace(tzinfo=UTC)


def check_acquire(asked: Acquire) -> None:
    """Raise ValueError, naming the value and the remedy, for what can never be granted."""
    if not asked.cell or not asked.holder:
        raise ValueError(
            f"a lease of {asked.cell!r} for {asked.holder!r} cannot be: name both, cell and holder"
        )
    for cap in asked.caps:
        if cap.most < 1:
            raise ValueError(f"the cap of {cap.scope} is {cap.most}: at least 1")
    if size_of(lease_for(Book({}), asked, _WHENEVER, 0)) > ROOM:
        raise ValueError(
            f"{asked.cell} has {len(asked.namespaces)} namespaces with replicas elsewhere, more "
            "than there is room for in the ledger: move some of them to other cells"
        )


def check_fence(request: Fence) -> None:
    """Raise ValueError for a fence that nobody answers for."""
    if not request.by or not request.reason:
        raise ValueError(
            f"fencing {request.cell} needs somebody who answers for it, and a reason: "
            f"by is {request.by!r}, reason is {request.reason!r}"
        )
    if len(request.reason) > LONGEST_REASON:
        raise ValueError(
            f"the reason for fencing {request.cell} has {len(request.reason)} characters: "
            f"{LONGEST_REASON} at most"
        )


def decide(book: Book, asked: Acquire) -> Answer:
    """Say whether the holder may disturb the cell.

    A holder that has the lease is answered by what it asks for now, its own lease aside.
    """
    held = _held_by(book, asked.cell, asked.holder)
    return Answer(conflict_set(book, asked), lease=0 if held is None else held.number)


def conflict_set(book: Book, asked: Acquire) -> tuple[Conflict, ...]:
    """Return the leases in the way of this, one conflict for each; none when nothing is.

    The set is minimal: without all of them it is granted, with any one of them it is not.
    """
    lease = lease_for(book, asked, _WHENEVER, 0)
    found: dict[str, Conflict] = {}
    present = book.at(lease.cell)
    if present is not None and present.holder != lease.holder:
        found[lease.cell] = _conflict(ConflictKind.CELL, lease.cell, present)
    for namespace in lease.namespaces:
        other = book.of_namespace(namespace)
        if other is not None and other.cell != lease.cell and other.cell not in found:
            found[other.cell] = _conflict(ConflictKind.PAIR, namespace, other)
    for conflict in _above_limits(book, lease, without={lease.cell, *found}):
        found[conflict.cell] = conflict
    return tuple(found.values())


def lease_for(book: Book, asked: Acquire, now: datetime, number: int) -> Lease:
    """Return the lease that is asked for, what it names in order and once.

    That of a holder who has one keeps its time and its number.
    """
    held = _held_by(book, asked.cell, asked.holder)
    strictest: dict[str, int] = {}
    for cap in asked.caps:
        strictest[cap.scope] = min(cap.most, strictest.get(cap.scope, cap.most))
    scopes = tuple(sorted(set(asked.scopes)))
    return Lease(
        cell=asked.cell,
        holder=asked.holder,
        purpose=asked.purpose,
        namespaces=tuple(sorted(set(asked.namespaces))),
        scopes=scopes,
        since=now if held is None else held.since,
        number=number if held is None else held.number,
        caps=tuple(Cap(scope, strictest[scope]) for scope in scopes if scope in strictest),
        components=tuple(sorted(set(asked.components))),
    )


def to_strike(book: Book, wanted: GiveBack | Fence) -> Lease | None:
    """Return the lease that ends by this; None when it is not that holder's, or not any more."""
    held = _held_by(book, wanted.cell, wanted.holder)
    if held is None or wanted.lease not in (0, held.number):
        return None
    return held


def remembered(fenced: Sequence[Fenced], latest: Fenced) -> list[Fenced]:
    """Return what is still known of fenced leases once there is another."""
    return [*fenced, latest][-FENCED_KEPT:]


def _held_by(book: Book, cell: str, holder: str) -> Lease | None:
    lease = book.at(cell)
    return lease if lease is not None and lease.holder == holder else None


def _above_limits(book: Book, lease: Lease, *, without: set[str]) -> Iterator[Conflict]:
    """Yield the leases by which a cap is used up, or the room, once those `without` are gone.

    The latest leases stay if they can: what is in the way is what will be given back first, or
    belongs to a holder that is gone.
    """
    size = size_of(lease)
    caps = {cap.scope: cap.most for cap in lease.caps}
    has_room = book.size + size <= ROOM
    if has_room and all(
        book.count(scope) < min(caps.get(scope, _NO_CAP), book.strictest_cap(scope) or _NO_CAP)
        for scope in lease.scopes
    ):
        return
    counts: Counter[str] = Counter()
    for other in book.of_scopes(lease.scopes) if has_room else book.all():
        if other.cell in without:
            continue
        shared = sorted({*lease.scopes} & {*other.scopes})
        others = {cap.scope: cap.most for cap in other.caps}
        limits = {s: min(caps.get(s, _NO_CAP), others.get(s, _NO_CAP)) for s in shared}
        # With the other one and the one that is asked for there would be two more.
        full = next((s for s in shared if counts[s] + 2 > limits[s]), None)
        if full is not None:
            yield _conflict(ConflictKind.CAP, full, other)
        elif size + size_of(other) > ROOM:
            yield _conflict(ConflictKind.ROOM, "", other)
        else:
            counts.update(shared)
            caps.update(limits)
            size += size_of(other)


def _conflict(kind: ConflictKind, what: str, lease: Lease) -> Conflict:
    return Conflict(kind, what, lease.cell, lease.holder)
