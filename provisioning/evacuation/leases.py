"""Which namespaces an evacuation names in its lease, and when it has to ask for it anew. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cells.ledger.types import Acquire, Conflict, ConflictKind, Purpose
from controlplane.ids import evacuation_workflow_id
from provisioning.evacuation.facts import Survey
from provisioning.evacuation.plan import ASK_LEDGER_AGAIN
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import EvacuationState, Status

NARROW_EVERY = timedelta(minutes=1)
"""How soon others may disturb the replicas of a namespace that this evacuation is done with."""

_UNFINISHED = (Status.WAITING, Status.MOVING, Status.RETURNING)


@dataclass(frozen=True)
class Hindrance:
    """What the ledger does not let us have."""

    namespaces: Mapping[str, str]
    """Namespaces that have another replica disturbed, and by whom."""
    cell: str = ""
    """Why the cell cannot be had at all."""


def wanted(state: EvacuationState, survey: Survey) -> Acquire:
    """Return the lease that this evacuation needs as far as it is now.

    Single replicas are named as well where they are migrated: for a while they are pairs.
    """
    facts = {each.id: each for each in survey.namespaces}
    names = tuple(
        name
        for name, progress in sorted(state.namespaces.items())
        if _is_unfinished(state, progress.status)
        and name in facts
        and (len(facts[name].cells) > 1 or state.kind is EvacuationKind.DRAIN)
    )
    is_drill = state.kind is EvacuationKind.DRILL
    region = next((cell.region for cell in survey.cells if cell.id == state.cell), "")
    # A cell that is lost is disturbed already: no cap is kept by leaving it as it is.
    scopes = () if state.source_lost or not region else _scopes(region)
    return Acquire(
        cell=state.cell,
        holder=evacuation_workflow_id(state.cell),
        purpose=Purpose.DRILL if is_drill else Purpose.MIGRATION,
        namespaces=names,
        scopes=scopes,
    )


def is_due(state: EvacuationState, lease: Acquire, now: datetime) -> bool:
    """Return whether the ledger has to be asked now."""
    since = None if state.lease_asked_at is None else now - state.lease_asked_at
    if since is None:
        return True
    if not state.lease:
        return since >= ASK_LEDGER_AGAIN
    missing = {*lease.namespaces} - {*state.leased}
    if missing - state.lease_conflicts.keys():
        return True
    if missing and since >= ASK_LEDGER_AGAIN:
        return True
    return bool({*state.leased} - {*lease.namespaces}) and since >= NARROW_EVERY


def hindered(
    names: Collection[str], replicas: Mapping[str, Sequence[str]], conflicts: Sequence[Conflict]
) -> Hindrance:
    """Return what of a lease these conflicts are about.

    The ledger names one namespace of each lease in the way; the others with a replica in its cell
    are taken to be in the same place.
    """
    found: dict[str, str] = {}
    for conflict in conflicts:
        if conflict.kind is not ConflictKind.PAIR:
            return Hindrance({}, cell=_advice(conflict))
        for name in names:
            if name == conflict.what or conflict.cell in replicas.get(name, ()):
                message = (
                    f"{conflict.cell} has a replica of it and is disturbed by {conflict.holder}"
                )
                found.setdefault(name, message)
    return Hindrance(found)


def _is_unfinished(state: EvacuationState, status: Status) -> bool:
    if status is Status.MOVED:
        return state.kind is EvacuationKind.DRILL  # It has yet to come back.
    return status in _UNFINISHED


def _scopes(region: str) -> tuple[str, ...]:
    return (f"region/{region}", f"provider/{region.partition('-')[0]}")


def _advice(conflict: Conflict) -> str:
    return (
        f"{conflict}: wait for it, or, if it can do no more to {conflict.cell}, fence its lease "
        f"(`controlplane ledger fence {conflict.cell}`)"
    )
