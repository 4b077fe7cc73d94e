"""What a rollout would do if it began now: the planner's answer, cell by cell. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cells.release import NoWay, Release, Software, way
from cells.types import CellView
from controlplane.api.rollout_types import DryRun, PlannedCell
from rollout.plan import apply, new_state, plan, problems
from rollout.planning.approvals import plan_hash
from rollout.planning.patches import head_starts
from rollout.planning.problems import warnings
from rollout.types import (
    FINISHED_STATUSES,
    CellFacts,
    Fleet,
    Phase,
    Plan,
    RolloutState,
    StartRollout,
)

_PASSES = 5
"""Marks come before batches, and batches before visits: so many looks are enough."""


def dry_run(
    request: StartRollout,
    fleet: Fleet,
    cells: Mapping[str, CellView],
    writing: Sequence[str],
    now: datetime,
) -> DryRun:
    """Return what would happen first, and what every other cell would wait for."""
    release = request.release
    state = new_state(request)
    state.phase = Phase.FORWARD
    bound_to = plan_hash(state, fleet)
    planned = _planned(state, fleet, now)
    unchanged = tuple(
        cell.id
        for cell in fleet.cells
        if cell.id in state.cells and state.cells[cell.id].status in FINISHED_STATUSES
    )
    starts = {start.cell: start.hops for start in planned.starts}
    waits = {wait.cell: wait for wait in planned.waits}
    to_come = [
        PlannedCell(
            cell=cell.id,
            region=cell.region,
            provider=cell.provider,
            ring=cell.ring,
            server_version=cell.server_version,
            hops=starts[cell.id] if cell.id in starts else _hops(cell, release, fleet),
            difference=difference(_software(cell, cells.get(cell.id)), release),
            starts_now=cell.id in starts,
            wait=waits.get(cell.id),
        )
        for cell in fleet.cells
        if cell.id not in unchanged
    ]
    order = {wait.cell: number for number, wait in enumerate(planned.waits)}
    return DryRun(
        release=release.name,
        release_digest=release.digest,
        server_version=release.server_version,
        lane=request.lane,
        cells=tuple(
            sorted(to_come, key=lambda c: (c.ring, not c.starts_now, order.get(c.cell, 0), c.cell))
        ),
        unchanged=unchanged,
        problems=tuple(problems(request.policy, fleet, release)),
        plan_hash=bound_to,
        writing=tuple(writing),
        warnings=tuple(warnings(request.policy, fleet, release)),
        patch_credit=request.patch_credit,
        head_starts=head_starts(state),
    )


def difference(present: Software, release: Release) -> tuple[str, ...]:
    """Return what the release changes in a cell, a line each."""
    wanted = release.software(present)
    told = [f"schema {step.store} → {step.version}" for step in release.schema_steps]
    if wanted.server_version != present.server_version:
        told.append(f"server {present.server_version or 'unknown'} → {wanted.server_version}")
    if wanted.ingress_version != present.ingress_version:
        told.append(
            f"ingress {present.ingress_version or 'as the control plane brings it'} → "
            f"{wanted.ingress_version or 'as the control plane brings it'}"
        )
    for key in sorted(wanted.configuration.keys() | present.configuration.keys()):
        before, after = present.configuration.get(key), wanted.configuration.get(key)
        if before != after:
            told.append(f"{key}: {_said(before)} → {_said(after)}")
    return tuple(told)


def _planned(state: RolloutState, fleet: Fleet, now: datetime) -> Plan:
    planned = plan(state, fleet, now)
    for _ in range(_PASSES):
        apply(state, planned, fleet, now)
        if planned.starts or state.phase is not Phase.FORWARD:
            return planned
        before, planned = planned, plan(state, fleet, now)
        if planned == before:
            return planned
    return planned


def _hops(cell: CellFacts, release: Release, fleet: Fleet) -> tuple[str, ...]:
    try:
        return way(cell.server_version, release, fleet.servers)
    except (NoWay, ValueError):
        # Why there is none, its wait says.
        return ()


def _software(cell: CellFacts, view: CellView | None) -> Software:
    if view is not None and view.software is not None:
        return view.software
    return Software(cell.server_version)


def _said(value: object) -> str:
    return "not set" if value is None else str(value)
