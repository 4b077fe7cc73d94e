"""What a namespace's replicas need next, and what becomes of its state as they change. Pure."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from cells.placement import Placement
from provisioning.plan import ROTATE_EVERY, Wanted, admission_basis
from provisioning.replicas.types import Phase, ReplicaAt, ReplicaChangeRequest
from provisioning.types import (
    Failover,
    NamespaceSpec,
    NamespaceState,
    ObservedNamespace,
    PassiveReplica,
    ReplicaChange,
    ReplicaChangeKind,
    ReplicaChangeReport,
)

FAILOVERS_KEPT = 10

_SWITCHING = (Phase.HAND_OVER, Phase.FORCE, Phase.SWITCH)


class PassiveStep(StrEnum):
    """The parts of a passive replica that its namespace looks after, in order."""

    WRITE_DATABASE = "WriteDatabase"
    ROUTE = "Route"
    ADMIT = "Admit"
    PROVE = "Prove"


def passive_step(
    state: NamespaceState, wanted: Wanted, replica: PassiveReplica
) -> PassiveStep | None:
    """Return what a passive replica needs next; None when it is as wanted."""
    assert state.clock is not None, "a namespace begins with its creation"
    if replica.database is None or state.clock >= replica.database.rotated_at + ROTATE_EVERY:
        return PassiveStep.WRITE_DATABASE
    if replica.routed_to != active_cell(state) and (
        state.change is None or state.change.target == replica.placement.cell
    ):
        return PassiveStep.ROUTE
    if state.observed.certificate is None:
        return None
    admission = replica.admission
    if admission is None or admission.basis != admission_basis(wanted, state.observed):
        return PassiveStep.ADMIT
    if replica.proof is None or replica.proof.digest != admission.digest:
        return PassiveStep.PROVE
    return None


def is_open(replica: PassiveReplica) -> bool:
    """Return whether clients get in at the replica's ingress, and were seen to."""
    return (
        replica.admission is not None
        and replica.proof is not None
        and replica.proof.digest == replica.admission.digest
    )


def is_switching(state: NamespaceState) -> bool:
    """Return whether another cell is becoming the active one just now: nothing else is changed."""
    change = state.change
    return change is not None and (
        change.kind == ReplicaChangeKind.FAILOVER or change.progress.phase in _SWITCHING
    )


def next_change(state: NamespaceState) -> ReplicaChange | None:
    """Return what is to be done to the replicas now; None while something is being done to them.

    What was asked for comes first, in order; then the regions that the spec wants and that are not
    there, and the replicas that it does not want.
    """
    if state.change is not None or state.spec is None or state.observed.placement is None:
        return None
    if state.wanted_changes:
        return state.wanted_changes[0]
    missing, _ = differing_regions(state, state.spec)
    if missing:
        return _change(state, ReplicaChangeKind.ADD, region=missing[0])
    if (cell := unwanted_cell(state)) is not None:
        replica = state.passive[cell]
        removal = _change(state, ReplicaChangeKind.REMOVE, region=replica.region)
        return replace(removal, source=cell, number=replica.number)
    return None


def unwanted_cell(state: NamespaceState) -> str | None:
    """Return the cell whose replica is to be removed; None while something else is done to them."""
    if state.change is not None:
        return state.change.source if state.change.kind == ReplicaChangeKind.REMOVE else None
    assert state.spec is not None, "a namespace begins with its creation"
    _, extra = differing_regions(state, state.spec)
    # The latest of two in one region: the other may be what the namespace relied on all along.
    cells = sorted(state.passive, key=lambda cell: -state.passive[cell].number)
    return next((cell for cell in cells if state.passive[cell].region in extra), None)


def next_failover(state: NamespaceState) -> ReplicaChange | None:
    """Return the failover that is to be made now: nothing is waited for, least of all the cell that
    may be lost."""
    change = next_change(state)
    return change if change is not None and change.kind == ReplicaChangeKind.FAILOVER else None


def differing_regions(
    state: NamespaceState, spec: NamespaceSpec
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the regions of which a replica is missing, and those that have one too many."""
    wanted, present = Counter(spec.regions), Counter(present_regions(state))
    return tuple((wanted - present).elements()), tuple((present - wanted).elements())


def present_regions(state: NamespaceState) -> tuple[str, ...]:
    """Return the regions of the replicas there are, that of the active one first."""
    placement = state.observed.placement
    if placement is None:
        return ()
    return (placement.region, *(state.passive[cell].region for cell in sorted(state.passive)))


def spec_of_present(state: NamespaceState) -> NamespaceSpec:
    """Return the spec with the regions that there are, in the order in which they were wanted."""
    assert state.spec is not None, "a namespace begins with its creation"
    left, regions = Counter(present_regions(state)), []
    for region in (*state.spec.regions, *present_regions(state)):
        if left[region]:
            left[region] -= 1
            regions.append(region)
    return with_regions(state.spec, tuple(regions))


def spec_without(state: NamespaceState, region: str) -> NamespaceSpec:
    """Return the spec without a replica in the region, the last of those that it wants there."""
    assert state.spec is not None, "a namespace begins with its creation"
    backwards = list(reversed(state.spec.regions))
    backwards.remove(region)
    return with_regions(state.spec, tuple(reversed(backwards)))


def moved(state: NamespaceState) -> NamespaceSpec:
    """Return the spec with a region that is there now in the place of one that is not any more."""
    assert state.spec is not None, "a namespace begins with its creation"
    # One came, one went; or neither, when it moved within its region.
    missing, extra = differing_regions(state, state.spec)
    if not missing or not extra:
        return state.spec
    replaced = list(state.spec.regions)
    replaced[replaced.index(missing[0])] = extra[0]
    return with_regions(state.spec, tuple(replaced))


def with_regions(spec: NamespaceSpec, regions: tuple[str, ...]) -> NamespaceSpec:
    replicas = regions if len(regions) > 1 or spec.replicas else ()
    return replace(spec, region=regions[0], replicas=replicas)


def active_cell(state: NamespaceState) -> str:
    placement = state.observed.placement
    assert placement is not None, "replicas come after the cell is selected"
    assert placement.cell is not None, "a placement is kept only once it has a cell"
    return placement.cell


def replica_in(state: NamespaceState, region: str) -> str | None:
    """Return the cell of a replica in the region, the active one's first; None without one."""
    placement = state.observed.placement
    if placement is not None and placement.region == region:
        return placement.cell
    cells = (cell for cell in sorted(state.passive) if state.passive[cell].region == region)
    return next(cells, None)


def request(state: NamespaceState, change: ReplicaChange, report_to: str) -> ReplicaChangeRequest:
    """Return what the workflow of a change is started with."""
    placement = state.observed.placement
    assert placement is not None, "replicas come after the cell is selected"
    return ReplicaChangeRequest(
        id=change.id,
        kind=change.kind,
        namespace=state.id,
        uid=state.uid,
        active=ReplicaAt(active_cell(state), placement.region, state.active_number),
        passive=tuple(
            ReplicaAt(cell, replica.region, replica.number)
            for cell, replica in sorted(state.passive.items())
        ),
        region=change.region,
        target=change.target,
        source=change.source,
        number=change.number,
        report_to=report_to,
        mode=change.mode,
        soak=change.soak,
        confirmed=change.confirmed,
    )


def note(state: NamespaceState, report: ReplicaChangeReport) -> None:
    """Take into the state what has become of the replicas."""
    if report.added is not None:
        cell = report.added.placement.cell
        assert cell is not None, "what is added is somewhere"
        state.passive = {**state.passive, cell: report.added}
        if cell not in state.asked_cells:
            state.asked_cells = [*state.asked_cells, cell]
    if report.failed_over is not None and report.failed_over.target in state.passive:
        _swap(state, report.failed_over, report)
    if report.removed:
        state.passive = {
            cell: replica for cell, replica in state.passive.items() if cell != report.removed
        }
        state.asked_cells = [cell for cell in state.asked_cells if cell != report.removed]


def expect_leftovers(state: NamespaceState, change: ReplicaChange, now: datetime) -> None:
    """Count as a replica what a change may have left in a cell before its workflow was gone."""
    cell = change.source if change.kind == ReplicaChangeKind.REMOVE else change.target
    if change.kind == ReplicaChangeKind.FAILOVER or not cell or cell == active_cell(state):
        return
    if cell not in state.passive:
        placement = Placement(change.region, cell, ())
        left = PassiveReplica(change.region, placement, change.number, since=now)
        note(state, ReplicaChangeReport(change.id, added=left))


def forget_part(replica: PassiveReplica, seen: ObservedNamespace) -> PassiveReplica:
    """Return a replica less what was found changed or gone, so that it is done again."""
    whole = seen.database is not None and not seen.database.flaw
    admission = replica.admission
    if seen.admission is None or (
        admission is not None and admission.digest != seen.admission.digest
    ):
        admission = None
    return replace(
        replica,
        database=replica.database if whole else None,
        admission=admission,
        routed_to="" if admission is None else replica.routed_to,
    )


def _swap(state: NamespaceState, failover: Failover, report: ReplicaChangeReport) -> None:
    """The active replica becomes passive, and the other way round.

    Who is let in where is asked for anew: what the gatekeepers enforce has changed.
    """
    former, number = state.observed, state.active_number
    assert former.placement is not None, "what fails over was somewhere"
    source = active_cell(state)
    target = state.passive[failover.target]
    others = {
        cell: replace(
            replica,
            routed_to=failover.target if cell in report.routed else "",
            admission=None,
            proof=None,
        )
        for cell, replica in state.passive.items()
        if cell != failover.target
    }
    left = PassiveReplica(
        region=former.placement.region,
        placement=former.placement,
        number=number,
        since=failover.at,
        database=former.database,
        routed_to=failover.target if source in report.routed else "",
    )
    state.passive = {**others, source: left}
    state.observed = ObservedNamespace(
        placement=target.placement,
        database=target.database,
        certificate=former.certificate,
        registration=former.registration,
        dns=report.dns,
    )
    state.active_number = target.number
    state.is_routed = failover.target in report.routed


def _change(state: NamespaceState, kind: ReplicaChangeKind, *, region: str) -> ReplicaChange:
    """Return a change that the spec asks for; what it is called is decided when it begins."""
    assert state.clock is not None, "a namespace begins with its creation"
    operation = state.replica_operations[0] if state.replica_operations else ""
    return ReplicaChange(
        id="",
        kind=kind,
        operation=operation,
        source="",
        target="",
        region=region,
        started_at=state.clock,
    )
