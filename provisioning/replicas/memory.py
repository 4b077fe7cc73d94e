"""Replication kept in memory: the ports of changes of replicas, for tests of what is above them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from controlplane.errors import failed_precondition, rejected
from provisioning.memory import MemoryWorld
from provisioning.ports import Incarnation
from provisioning.replicas.types import (
    Comparison,
    CopyProgress,
    ReplicationFacts,
    ReplicationState,
)

INCREMENT = 1_000_000


@dataclass
class Replicated:
    """A namespace, as all its cells would say it if they could talk to each other."""

    active: str
    executions: dict[str, set[str]]
    """By cell: what it has of the namespace's workflow executions."""
    state: ReplicationState = ReplicationState.NORMAL
    failover_version: int = 1


@dataclass
class MemoryReplication:
    """Meets `provisioning.replicas.ports.Replication`.

    `faults` are raised by the next calls of a method, by its name, first to last; `afterwards` by
    calls that have had their effect: the reply is lost. What starts in the active cell arrives in
    the others unless `is_cut`.
    """

    world: MemoryWorld
    namespaces: dict[str, Replicated] = field(default_factory=dict)
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    afterwards: dict[str, list[Exception]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    is_cut: bool = False

    def start(self, namespace: str, active: str, execution: str) -> None:
        """Let a workflow execution start."""
        replicated = self._of(Incarnation(namespace, "", active))
        cells = [active] if self.is_cut else list(replicated.executions)
        for cell in cells:
            replicated.executions[cell].add(execution)

    async def observe(self, at: Incarnation) -> ReplicationFacts | None:
        self._begin("observe", at.cell)
        if at.replica and at.namespace not in self.namespaces:
            return None  # A namespace begins with its first replica.
        replicated = self._of(at)
        if at.cell not in replicated.executions:
            return None
        return ReplicationFacts(
            cell=at.cell,
            active=replicated.active,
            cells=tuple(sorted(replicated.executions)),
            state=replicated.state,
            failover_version=replicated.failover_version,
        )

    async def extend(self, active: Incarnation, to: str) -> None:
        self._begin("extend", active.cell, to)
        self._of(active).executions.setdefault(to, set())
        self._end("extend")

    async def copy(
        self, active: Incarnation, to: str, told: Callable[[CopyProgress], None]
    ) -> CopyProgress:
        self._begin("copy", active.cell, to)
        executions = self._of(active).executions
        if to not in executions:
            raise rejected(f"{active.namespace} has no replica in {to}")
        executions[to] |= executions[active.cell]
        progress = CopyProgress(len(executions[active.cell]), len(executions[active.cell]))
        told(progress)
        self._end("copy")
        return progress

    async def compare(self, source: Incarnation, to: str) -> Comparison:
        self._begin("compare", source.cell, to)
        executions = self._of(source).executions
        ours, theirs = executions[source.cell], executions[to]
        missing = sorted(ours - theirs)
        return Comparison(
            at=datetime.now(UTC),
            source={"RUNNING": len(ours)},
            target={"RUNNING": len(theirs)},
            missing=tuple(missing[:10]),
            missing_count=len(missing),
        )

    async def hand_over(
        self,
        active: Incarnation,
        to: str,
        within: timedelta,
        allowed_lag: timedelta,  # noqa: ARG002 - the port's
    ) -> None:
        replicated = self._of(active)
        if replicated.active == to:
            return
        self._begin("hand_over", active.cell, to)
        if self.is_cut:
            raise failed_precondition(f"{to} did not catch up within {within}")
        self._activate(replicated, to)
        self._end("hand_over")

    async def force(self, to: Incarnation) -> None:
        self._begin("force", to.cell)
        replicated = self._of(to)
        if to.cell not in replicated.executions:
            raise rejected(f"{to.namespace} has no replica in {to.cell}")
        if replicated.active != to.cell:
            self._activate(replicated, to.cell)
        self._end("force")

    async def settle(self, at: Incarnation) -> None:
        self._begin("settle", at.cell)
        self._of(at).state = ReplicationState.NORMAL

    async def await_active(
        self,
        at: Incarnation,
        active: str,
        within: timedelta,  # noqa: ARG002 - the port's
    ) -> None:
        self._begin("await_active", at.cell)
        if self._of(at).active != active:
            raise failed_precondition(f"{at.cell} does not take {active} for the active cell")

    async def revive(self, active: Incarnation) -> int:
        self._begin("revive", active.cell)
        return 0

    async def withdraw(self, active: Incarnation, cell: str) -> None:
        self._begin("withdraw", active.cell, cell)
        replicated = self._of(active)
        if replicated.active == cell:
            raise failed_precondition(f"{active.namespace} is active in {cell}")
        replicated.executions.pop(cell, None)
        self._end("withdraw")

    def _activate(self, replicated: Replicated, cell: str) -> None:
        replicated.active, replicated.state = cell, ReplicationState.NORMAL
        replicated.failover_version += INCREMENT

    def _of(self, replica: Incarnation) -> Replicated:
        known = self.namespaces.get(replica.namespace)
        if known is None:
            known = Replicated(replica.cell, {replica.cell: set()})
            self.namespaces[replica.namespace] = known
        return known

    def _begin(self, call: str, *cells: str) -> None:
        self.calls[call] += 1
        for cell in cells:
            self.world.reach(cell)
        if self.faults.get(call):
            raise self.faults[call].pop(0)

    def _end(self, call: str) -> None:
        if self.afterwards.get(call):
            raise self.afterwards[call].pop(0)
