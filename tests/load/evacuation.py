"""A cell with many replicated namespaces is evacuated: `python -m tests.load.evacuation [COUNT]`.

Namespaces of three tiers are active in one cell of an embedded fleet and passive in another; a
drill fails all of them over and back. Reports how long it took, how long each failover did, and
whether the rules were kept.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter
from temporalio.api.cloud.cloudservice.v1 import UpdateNamespaceTagsRequest

from provisioning.evacuation.types import (
    EvacuationView,
    Move,
    MoveKind,
    MoveOutcome,
    Phase,
    Status,
)
from provisioning.tiers import TIER_TAG, Tier
from tests.e2e.operators import Operator, operator_of
from tests.eventually import eventually
from tests.fleet import RunningFleet, running_fleet
from tests.replicas import Replicas
from tests.tenant import REGIONS, Tenant, tenant_of

COUNT = 100
CREATED_AT_ONCE = 4
HERE, THERE = REGIONS[0], REGIONS[2]
CELL = f"{HERE}-c1"
WITHIN = 3600.0
"""Seconds."""
_VIEW = TypeAdapter(EvacuationView)


@dataclass
class Report:
    """What was seen of one evacuation."""

    view: EvacuationView
    seconds: float
    preparation: float
    broken_rules: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        view = self.view
        lines = [
            f"{view.kind.value} of {view.cell}: {view.report.verdict}",
            f"  namespaces {len(view.namespaces)}, prepared in {self.preparation:.0f} s",
            f"  from request to end {self.seconds:.1f} s, with a soak of {view.policy.drill_soak}",
        ]
        for way, took in (("away", view.report.away), ("back", view.report.back)):
            if took is not None:
                p50, p90, longest = (
                    each.total_seconds() for each in (took.p50, took.p90, took.longest)
                )
                lines.append(
                    f"  {way}: {took.count} failovers, p50 {p50:.2f} s, p90 {p90:.2f} s, "
                    f"longest {longest:.2f} s"
                )
        lines.append(f"  broken rules: {'; '.join(self.broken_rules) or 'none'}")
        return "\n".join(lines)


async def drilled(tenant: Tenant, operator: Operator, count: int, at_once: int = 5) -> Report:
    """Make so many replicated namespaces, drill their cell, and delete them again."""
    names = [f"evac-{number:03}" for number in range(count)]
    begin = time.monotonic()
    limit = asyncio.Semaphore(CREATED_AT_ONCE)

    async def prepare(number: int, name: str) -> None:
        async with limit:
            await tenant.created(name, HERE)
            await Replicas(tenant).add(name, THERE)
            await _tag(tenant, name, tuple(Tier)[number % len(Tier)])

    await asyncio.gather(*(prepare(number, name) for number, name in enumerate(names)))
    preparation = time.monotonic() - begin
    begin = time.monotonic()
    body = {
        "cell": CELL,
        "kind": "drill",
        "policy": {"at_once": at_once, "per_minute": 1000, "drill_soak": "PT5S"},
        "reason": "to see how long it takes",
    }
    started = _VIEW.validate_python(await operator.post("/fleet/v1/evacuations", body))
    view = await _ended(operator, started.id)
    seconds = time.monotonic() - begin
    report = Report(view, seconds, preparation, broken_rules(view))
    for name in names:
        await tenant.deleted(name)
    return report


def broken_rules(view: EvacuationView) -> list[str]:
    """Return what an evacuation should not have done."""
    moves = [move for each in view.namespaces.values() for move in each.moves]
    broken = [
        f"{name} is {each.status.value}: {each.message}"
        for name, each in view.namespaces.items()
        if each.status is not Status.RETURNED
    ]
    for kind in (MoveKind.FAILOVER, MoveKind.RETURN):
        most = _most_at_once([move for move in moves if move.kind is kind])
        if most > view.policy.at_once:
            broken.append(f"{most} {kind.value}s at once, at most {view.policy.at_once} allowed")
    begun = sorted(
        (each.moves[0].began_at, each.tier.rank, name)
        for name, each in view.namespaces.items()
        if each.moves
    )
    # A drill begins with those that matter least.
    broken += [
        f"{later[2]} began after {earlier[2]}, which matters more"
        for earlier, later in pairwise(begun)
        if earlier[0] < later[0] and earlier[1] < later[1]
    ]
    return broken


def _most_at_once(moves: Sequence[Move]) -> int:
    changes = sorted(
        (at, step)
        for move in moves
        if move.outcome is MoveOutcome.DONE and move.ended_at is not None
        for at, step in ((move.began_at, 1), (move.ended_at, -1))
    )
    most = now = 0
    for _, step in changes:
        now += step
        most = max(most, now)
    return most


async def _tag(tenant: Tenant, name: str, tier: Tier) -> None:
    operation = str(uuid4())
    await tenant.cloud.cloud_service.update_namespace_tags(
        UpdateNamespaceTagsRequest(
            namespace=tenant.id(name),
            tags_to_upsert={TIER_TAG: tier.value},
            async_operation_id=operation,
        )
    )
    await tenant.finished(operation)


async def _ended(operator: Operator, evacuation: str) -> EvacuationView:
    view: EvacuationView | None = None

    async def so() -> bool:
        nonlocal view
        view = _VIEW.validate_python(await operator.get(f"/fleet/v1/evacuations/{evacuation}"))
        return view.phase is Phase.ENDED

    await eventually(so, within=WITHIN, every=0.5)
    assert view is not None, "it was seen to end"
    return view


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_fleet(Path(folder) / "home") as fleet:
            await _report(fleet, count)


async def _report(fleet: RunningFleet, count: int) -> None:
    async with tenant_of(fleet) as tenant, operator_of(fleet) as operator:
        sys.stdout.write(f"{await drilled(tenant, operator, count)}\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT))
