"""What a rollout would do, before it does anything: rings, batches, cells, obstacles."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from controlplane.api.rollout_types import DryRun, PlannedCell, PresentPlan
from controlplane.cli.durations import rough
from controlplane.cli.output import moment, table
from rollout.policy import Lane, RingPolicy, RolloutPolicy, ring_policy, share
from rollout.simulation.types import Forecast
from rollout.types import Wait

MOST_CELLS = 60
"""As many cells of a plan are listed one by one."""


def show_dry_run(plan: DryRun, policy: RolloutPolicy, *, every_cell: bool) -> list[RenderableType]:
    """Return what the rollout would do: ring by ring, cell by cell, and what stands against it."""
    parts: list[RenderableType] = [Text(_summary(plan))]
    if plan.cells:
        parts += [Text(), _rings(plan, policy), Text(), *_cells(plan, every_cell=every_cell)]
    for other in plan.writing:
        parts.append(Text(f"Rollout {other} writes the same component now.", "yellow"))
    parts += [Text(told) for told in _head_starts(plan)]
    for warning in plan.warnings:
        parts.append(Text(f"! {warning}", "yellow"))
    for problem in plan.problems:
        parts.append(Text(f"✗ {problem}", "bold red"))
    return parts


def show_present_plan(plan: PresentPlan) -> list[RenderableType]:
    """Return what an approval given now is bound to."""
    ring = "no ring is at work" if plan.ring is None else f"ring {plan.ring} is at work"
    by = ", ".join(f"{each.actor} at {moment(each.at)}" for each in plan.approvals)
    parts: list[RenderableType] = [
        Text(f"Rollout {plan.rollout}: {ring}; {plan.done} of {plan.cells} cells are done"),
        Text(f"Plan {plan.plan_hash}"),
        Text(f"Evidence {plan.evidence_digest}: {plan.evidence}"),
        Text(f"Approved by: {by or 'nobody yet'}"),
    ]
    if plan.under_way:
        parts.append(Text(f"Under way: {', '.join(plan.under_way)}"))
    if plan.waits:
        rows = table("CELL", "WAITS FOR", "UNTIL", "BECAUSE")
        for wait in plan.waits[:MOST_CELLS]:
            rows.add_row(wait.cell, wait.code, _until(wait), wait.message)
        parts += [Text(), rows, *_rest(len(plan.waits))]
    return parts


def show_forecast(found: Forecast) -> list[RenderableType]:
    """Return how long the rollout takes, ring by ring, and what keeps it from its end."""
    ended = [run for run in found.runs if run.ended_after is not None]
    parts: list[RenderableType] = [
        Text(
            f"Release {found.release} to {found.cells} cells: {len(ended)} of {len(found.runs)} "
            "simulated rollouts came to their end."
        )
    ]
    if found.ended_p50 is not None:
        p90 = "" if found.ended_p90 is None else f", {rough(found.ended_p90)} (p90)"
        parts.append(Text(f"They took {rough(found.ended_p50)} (p50){p90}."))
    if found.rings_p50:
        rows = table("RING", "BEGINS AFTER (P50)", "THAT IS")
        for ring, after in sorted(found.rings_p50.items()):
            rows.add_row(str(ring), rough(after), moment(found.began_at + after))
        parts += [Text(), rows]
    if found.runs:
        rows = table("RUN", "OUTCOME", "AFTER", "CELLS", "STUCK BECAUSE")
        for number, run in enumerate(found.runs, 1):
            rows.add_row(
                str(number),
                str(run.outcome or "did not end"),
                "-" if run.ended_after is None else rough(run.ended_after),
                str(run.cells),
                run.stuck,
            )
        parts += [Text(), rows]
    parts += [Text(f"✗ {problem}", "bold red") for problem in found.problems]
    return parts


def batch_sizes(policy: RingPolicy, members: int) -> list[int]:
    """Return how many cells each batch of a ring takes, when nothing comes in between."""
    sizes: list[int] = []
    while sum(sizes) < members:
        amount = policy.batches[min(len(sizes), len(policy.batches) - 1)]
        size = 1 if not sizes else share(amount, members, at_least=1)
        sizes.append(min(size, members - sum(sizes)))
    return sizes


def _summary(plan: DryRun) -> str:
    lane = "" if plan.lane is Lane.NORMAL else f", {plan.lane} lane"
    cells = f"{len(plan.cells)} cells to change" if plan.cells else "no cell to change"
    same = f", {len(plan.unchanged)} have it already" if plan.unchanged else ""
    return (
        f"Release {plan.release} ({plan.release_digest[:12]}), server {plan.server_version}{lane}: "
        f"{cells}{same}"
    )


def _head_starts(plan: DryRun) -> Iterator[str]:
    credit = plan.patch_credit
    if credit is None:
        return
    if credit.refused:
        yield f"What {credit.release} has baked does not count: {credit.refused}."
    elif not plan.head_starts:
        yield f"What {credit.release} has baked does not count in any ring."
    else:
        rings = ", ".join(f"ring {n}: {rough(ahead)}" for n, ahead in plan.head_starts.items())
        yield f"What {credit.release} has baked (rollout {credit.rollout}) counts in {rings}."


def _rings(plan: DryRun, policy: RolloutPolicy) -> RenderableType:
    rows = table("RING", "CELLS", "BATCHES", "BAKES", "TOLERATES", "APPROVALS")
    rings = _by_ring(plan.cells)
    for ring, cells in rings.items():
        rules = ring_policy(policy, ring)
        sizes = batch_sizes(rules, len(cells))
        rows.add_row(
            str(ring),
            str(len(cells)),
            _told_sizes(sizes),
            _told_bakes(rules, plan.lane, len(sizes)),
            rules.tolerance,
            str(_approvals(rules, plan.lane, first=ring == min(rings)) or "-"),
        )
    return rows


def _cells(plan: DryRun, *, every_cell: bool) -> Iterator[RenderableType]:
    rows = table("RING", "CELL", "REGION", "NOW", "THROUGH", "CHANGES", "STARTS")
    shown = plan.cells if every_cell else plan.cells[:MOST_CELLS]
    for cell in shown:
        rows.add_row(
            str(cell.ring),
            cell.cell,
            cell.region,
            cell.server_version,
            " → ".join(cell.hops) or "-",
            "; ".join(cell.difference) or "nothing",
            _starts(cell),
        )
    yield rows
    if not every_cell:
        yield from _rest(len(plan.cells), " (--all lists them)")


def _starts(cell: PlannedCell) -> Text:
    if cell.starts_now:
        return Text("now", "green")
    if cell.wait is None:
        return Text("-")
    until = f" (until {_until(cell.wait)})" if cell.wait.until else ""
    return Text(f"{cell.wait.code}: {cell.wait.message}{until}")


def _rest(number: int, how: str = "") -> Iterator[Text]:
    if number > MOST_CELLS:
        yield Text(f"and {number - MOST_CELLS} more{how}", "dim")


def _approvals(rules: RingPolicy, lane: Lane, *, first: bool) -> int:
    # Two people open the emergency lane, whatever the policy says.
    return max(rules.approvals, 2) if first and lane is Lane.EMERGENCY else rules.approvals


def _told_bakes(rules: RingPolicy, lane: Lane, batches: int) -> str:
    emergency = lane is Lane.EMERGENCY
    batch, ring = (
        (rules.emergency_bake, rules.emergency_bake)
        if emergency
        else (rules.batch_bake, rules.ring_bake)
    )
    return f"{rough(batch)} each, {rough(ring)} at the end" if batches > 1 else rough(ring)


def _told_sizes(sizes: Sequence[int]) -> str:
    """Return sizes one by one, equal ones that follow each other as `10 (4 times)`."""
    told: list[tuple[int, int]] = []
    for size in sizes:
        if told and told[-1][1] == size:
            told[-1] = (told[-1][0] + 1, size)
        else:
            told.append((1, size))
    return ", ".join(f"{size} ({times} times)" if times > 1 else f"{size}" for times, size in told)


def _by_ring(cells: Sequence[PlannedCell]) -> Mapping[int, list[PlannedCell]]:
    rings: dict[int, list[PlannedCell]] = {}
    for cell in cells:
        rings.setdefault(cell.ring, []).append(cell)
    return dict(sorted(rings.items()))


def _until(wait: Wait) -> str:
    return "" if wait.until is None else moment(wait.until)
