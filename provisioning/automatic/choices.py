"""What becomes of each namespace of a cell that is lost, or that is back, and why. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controlplane.resource import ConditionStatus
from provisioning.automatic import verdicts
from provisioning.automatic.sight import CellFacts, NamespaceFacts
from provisioning.automatic.types import (
    Asked,
    AvailabilityState,
    Choice,
    NamespaceDecision,
    Verdict,
)
from provisioning.automatic.votes import Count
from provisioning.types import FailoverCause, FailoverMode, ReplicaChangeKind

UNANSWERED_AFTER = timedelta(minutes=15)
"""A failover that takes longer than this is a person's business."""


@dataclass(frozen=True)
class Sight:
    """What is known as of `now`."""

    now: datetime
    cells: Mapping[str, CellFacts]
    counts: Mapping[str, Count]


def leaving(
    cell: str, namespaces: Sequence[NamespaceFacts], state: AvailabilityState, sight: Sight
) -> Iterator[NamespaceDecision]:
    mode = _mode(sight.counts[cell])
    for each in sorted(namespaces, key=lambda n: n.id):
        if each.active != cell:
            continue
        decision = NamespaceDecision(each.id, cell, Choice.STAYS, "", mode=mode)
        if reason := _why_it_stays(each):
            yield replace(decision, reason=reason)
        elif held := _held_up(decision, each, state, sight):
            yield held
        else:
            yield _with_target(decision, each, state, sight)


def _why_it_stays(namespace: NamespaceFacts) -> str:
    if namespace.leaving:
        return namespace.leaving
    if not namespace.passive:
        return "it has a single replica"
    if not namespace.managed:
        return "its owner has switched managed failover off"
    return ""


def _held_up(
    decision: NamespaceDecision, namespace: NamespaceFacts, state: AvailabilityState, sight: Sight
) -> NamespaceDecision | None:
    """Return why it does not move now because of what is under way; None when nothing is."""
    asked = state.asked.get(namespace.id)
    if asked is not None and asked.cell == decision.cell:
        if waiting := _while_asked(decision, asked, state, sight):
            return waiting
    elif namespace.change is ReplicaChangeKind.FAILOVER:
        return replace(decision, choice=Choice.MOVING, reason="another failover of it is under way")
    if namespace.change is not None and namespace.change is not ReplicaChangeKind.FAILOVER:
        reason = (
            f"its replicas are being changed ({namespace.change}{namespace.change_message}): "
            "abort that to let it fail over"
        )
        return replace(decision, choice=Choice.WAITS, reason=reason, asks_person=True)
    if namespace.incomplete_since is not None and _was_so_before(decision, namespace, state):
        reason = (
            f"its replicas are not complete since {namespace.incomplete_since:%H:%M:%S}: "
            f"{namespace.incomplete}; who accepts that fails it over by hand"
        )
        return replace(decision, choice=Choice.WAITS, reason=reason, asks_person=True)
    return None


def _while_asked(
    decision: NamespaceDecision, asked: Asked, state: AvailabilityState, sight: Sight
) -> NamespaceDecision | None:
    if not asked.refused:
        late = sight.now - asked.at > UNANSWERED_AFTER
        reason = f"told at {asked.at:%H:%M:%S} to move to {asked.target}"
        if late:
            reason += (
                f", and has not in {in_words(UNANSWERED_AFTER)}: see operation {asked.operation}"
            )
        return replace(
            decision,
            choice=Choice.MOVING,
            reason=reason,
            target=asked.target,
            cause=asked.cause,
            asks_person=late,
        )
    if asked.tries >= state.policy.attempts:
        reason = f"tried {asked.tries} times, the last: {asked.refused}"
        return replace(decision, choice=Choice.WAITS, reason=reason, asks_person=True)
    again = asked.at + state.policy.retry_after * 2 ** (asked.tries - 1)
    if sight.now < again:
        reason = f"tried again at {again:%H:%M:%S}: {asked.refused}"
        return replace(decision, choice=Choice.WAITS, reason=reason)
    return None


def _was_so_before(
    decision: NamespaceDecision, namespace: NamespaceFacts, state: AvailabilityState
) -> bool:
    """Whether its replicas lacked something before the loss, which may well be why they do now."""
    lost_since = state.cells[decision.cell].lost_since
    since = namespace.incomplete_since
    return since is not None and (lost_since is None or since < lost_since)


def _with_target(
    decision: NamespaceDecision, namespace: NamespaceFacts, state: AvailabilityState, sight: Sight
) -> NamespaceDecision:
    out: list[str] = []
    for replica in namespace.passive:
        obstacles = target_obstacles(replica.cell, state, sight)
        if not obstacles:
            record, count = state.cells[decision.cell], sight.counts[decision.cell]
            since = record.lost_since or sight.now
            reason = f"{decision.cell} is lost since {since:%Y-%m-%d %H:%M:%S}: {count.message}"
            return replace(decision, choice=Choice.MOVES, reason=reason, target=replica.cell)
        out.append(f"{replica.cell}: {', '.join(obstacles)}")
    reason = f"no replica can take over: {'; '.join(out)}"
    return replace(decision, choice=Choice.WAITS, reason=reason)


def target_obstacles(cell: str, state: AvailabilityState, sight: Sight) -> list[str]:
    """Say why a namespace must not become active in a cell; nothing when it may."""
    facts, record = sight.cells.get(cell), state.cells.get(cell)
    if facts is None or record is None:
        return ["is not part of the fleet"]
    obstacles = []
    if record.verdict is not Verdict.WELL:
        obstacles.append(f"is {record.verdict}: {sight.counts[cell].message}")
    if facts.ready is not ConditionStatus.TRUE:
        obstacles.append(f"not ready: {facts.ready_message or 'nothing is known'}")
    if facts.quarantine:
        obstacles.append(f"quarantined {facts.quarantine}")
    if disturbed := verdicts.disturbed_by(facts):
        obstacles.append(disturbed)
    # Every replica holds its capacity already. What can be short is what a cell has promised.
    obstacles += [f"has no headroom: {shortage}" for shortage in facts.shortages]
    return obstacles


def returning(
    cell: str, namespaces: Sequence[NamespaceFacts], state: AvailabilityState, sight: Sight
) -> Iterator[NamespaceDecision]:
    for each in sorted(namespaces, key=lambda n: n.id):
        if each.driven_from != cell or each.active == cell:
            continue
        decision = NamespaceDecision(
            each.id,
            cell,
            Choice.STAYS,
            "",
            target=cell,
            cause=FailoverCause.FAILBACK,
            mode=FailoverMode.GRACEFUL,
        )
        if reason := _why_it_stays(each) or _why_not_back(each, cell):
            yield replace(decision, reason=reason)
        elif held := _held_up(decision, each, state, sight):
            yield held
        elif sick := _source_obstacle(each.active, state):
            yield replace(decision, choice=Choice.WAITS, reason=sick)
        else:
            reason = f"{cell} is well again, from where it was failed over automatically"
            yield replace(decision, choice=Choice.MOVES, reason=reason)


def _why_not_back(namespace: NamespaceFacts, cell: str) -> str:
    if namespace.last_cause is not FailoverCause.AUTOMATIC:
        return f"it was failed over since ({namespace.last_cause}): whoever did that decides"
    if namespace.kept_by:
        # Failing over to where it is already is how people say that it is to stay there.
        return f"it was failed over since (operation {namespace.kept_by}): whoever did that decides"
    if cell not in {replica.cell for replica in namespace.passive}:
        return f"it has no replica in {cell} any more"
    return ""


def _source_obstacle(active: str, state: AvailabilityState) -> str:
    """Nothing is lost by a graceful failover, which needs both cells."""
    record = state.cells.get(active)
    verdict = Verdict.UNKNOWN if record is None else record.verdict
    return "" if verdict is Verdict.WELL else f"{active}, where it is active, is {verdict}"


def _mode(count: Count) -> FailoverMode:
    return FailoverMode.GRACEFUL_THEN_FORCED if count.frontend_answers else FailoverMode.FORCED


def in_words(span: timedelta) -> str:
    minutes = span / timedelta(minutes=1)
    return f"{minutes / 60:g} h" if minutes >= 60 else f"{minutes:g} min"
