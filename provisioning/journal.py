"""What is said of a namespace while it is worked on: operations, conditions, decisions. Pure.

Everything here changes the entity's state and nothing else; what to do is decided elsewhere.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controlplane.resource import Condition, ConditionStatus, set_condition
from provisioning.plan import Validity, renamed
from provisioning.types import (
    Decision,
    DecisionKind,
    Difference,
    Inspection,
    NamespaceCondition,
    NamespaceSpec,
    NamespaceState,
    NamespaceView,
    Operation,
    OperationKind,
    OperationState,
    Rename,
    Step,
    StepRecord,
    StepState,
)

OPERATIONS_KEPT = 10
"""How many finished operations a namespace remembers."""
DECISIONS_KEPT = 20


@dataclass(frozen=True)
class Failure:
    """Why a step failed, and whether trying again can help."""

    step: Step
    message: str
    is_permanent: bool

    def __str__(self) -> str:
        return f"{self.step}: {self.message}"


@dataclass(frozen=True)
class Journal:
    """Writes into the state of one namespace; every entry raises its revision."""

    state: NamespaceState

    def touch(self) -> None:
        self.state.revision += 1

    def knows(self, operation: str) -> bool:
        return any(known.id == operation for known in self.state.operations)

    def open(self, operation: str, kind: OperationKind, now: datetime) -> None:
        """Note a change that was accepted: the present generation has it in it."""
        opened = Operation(
            operation, kind, OperationState.PENDING, now, generation=self.state.generation
        )
        self.state.operations = [*self.state.operations, opened]
        self.touch()

    def close(
        self,
        operations: Collection[str],
        state: OperationState,
        now: datetime,
        reason: str = "",
    ) -> None:
        """Close those of the operations that are open."""
        for op in self.state.operations:
            if op.id in operations and is_open(op):
                outcome = f"{op.kind} {state}"
                self.decide(
                    DecisionKind.FINISHED,
                    f"{outcome}: {reason}" if reason else outcome,
                    now,
                    operation=op.id,
                    before=op.state,
                    after=state,
                )
        self.note(operations, lambda op: closed(op, state, now, reason) if is_open(op) else op)

    def open_operations(self, *kinds: OperationKind, up_to: int | None = None) -> tuple[str, ...]:
        """Return the ids of the open operations of these kinds (all, if none is named), as far as
        they are part of the generation `up_to`."""
        return tuple(
            op.id
            for op in self.state.operations
            if is_open(op)
            and (not kinds or op.kind in kinds)
            and (up_to is None or op.generation <= up_to)
        )

    def note(self, operations: Collection[str], change: Callable[[Operation], Operation]) -> None:
        """Change some operations, if there are any to change."""
        if operations:
            self.state.operations = [
                change(op) if op.id in operations else op for op in self.state.operations
            ]
            self.touch()

    def note_renamed(self, rename: Rename, now: datetime) -> None:
        """A search attribute has its new name for good, whatever becomes of changes after it."""
        state = self.state
        state.renames = [left for left in state.renames if left != rename]
        if state.settled is not None:
            state.settled = renamed(state.settled, rename.old, rename.new)
        self.close([rename.operation], OperationState.FULFILLED, now)

    def decide(
        self,
        kind: DecisionKind,
        message: str,
        now: datetime,
        *,
        operation: str = "",
        before: str = "",
        after: str = "",
    ) -> None:
        """Note what the entity decided."""
        self.state.decided += 1
        decision = Decision(self.state.decided, now, kind, message, operation, before, after)
        self.state.decisions = [*self.state.decisions, decision]
        self.touch()

    def forget_published(self, view: NamespaceView) -> None:
        """Let go of what is old and in a view that others can read by now."""
        known = {op.id for op in view.operations if not is_open(op)}
        finished = [op.id for op in self.state.operations if op.id in known]
        old = set(finished[:-OPERATIONS_KEPT])
        self.state.operations = [op for op in self.state.operations if op.id not in old]
        told = view.decisions[-1].number if view.decisions else 0
        self.state.decisions = [
            decision
            for decision in self.state.decisions
            if decision.number > min(told, self.state.decided - DECISIONS_KEPT)
        ]

    def report_ready(self, now: datetime) -> None:
        self._report(NamespaceCondition.READY, ConditionStatus.TRUE, "Proven", now)

    def report_failure(self, failures: Sequence[Failure], now: datetime) -> None:
        message = "; ".join(str(failure) for failure in failures)
        self._report(NamespaceCondition.READY, ConditionStatus.FALSE, "StepFailed", now, message)

    def report_replicated(
        self, status: ConditionStatus, reason: str, now: datetime, message: str
    ) -> None:
        """Note whether every replica was found to have what the active one has."""
        self._report(NamespaceCondition.REPLICATED, status, reason, now, message)

    def report_validity(self, found: Sequence[Validity], now: datetime) -> None:
        for validity in found:
            self._report(
                validity.condition, validity.status, validity.reason, now, validity.message
            )

    def report_inspection(self, differences: tuple[Difference, ...], now: datetime) -> None:
        """Note what a look at the world found."""
        self.state.inspection = Inspection(now, differences)
        if not differences:
            self._report(NamespaceCondition.IN_SYNC, ConditionStatus.TRUE, "AsMade", now)
            return
        message = told(differences)
        self._report(NamespaceCondition.IN_SYNC, ConditionStatus.FALSE, "DriftFound", now, message)
        self.decide(DecisionKind.DRIFT_FOUND, message, now)

    def report_blindness(self, reason: str, now: datetime) -> None:
        """Note that the world could not be looked at."""
        self._report(NamespaceCondition.IN_SYNC, ConditionStatus.UNKNOWN, "CannotLook", now, reason)

    def report_repaired(self, now: datetime) -> None:
        """Note that what the last look found is mended, if there was anything."""
        condition = self.state.conditions.get(NamespaceCondition.IN_SYNC)
        if condition is not None and condition.status == ConditionStatus.FALSE:
            self._report(
                NamespaceCondition.IN_SYNC,
                ConditionStatus.TRUE,
                "Repaired",
                now,
                condition.message,
            )
            self.decide(DecisionKind.DRIFT_REPAIRED, condition.message, now)

    def view(self, spec: NamespaceSpec, created_at: datetime) -> NamespaceView:
        """Return what others see."""
        state = self.state
        return NamespaceView(
            id=state.id,
            uid=state.uid,
            spec=spec,
            generation=state.generation,
            revision=state.revision,
            life=state.life,
            created_at=created_at,
            modified_at=state.modified_at,
            observed=state.observed,
            conditions=state.conditions,
            operations=tuple(state.operations),
            quiet_changes=state.quiet_changes,
            policy=state.policy,
            tags=state.tags,
            inspection=state.inspection,
            decisions=tuple(state.decisions),
            passive=state.passive,
            change=state.change,
            failovers=tuple(state.failovers),
            left_regions=state.left_regions,
        )

    def _report(
        self,
        condition: NamespaceCondition,
        status: ConditionStatus,
        reason: str,
        now: datetime,
        message: str = "",
    ) -> None:
        new = Condition(
            type=condition,
            status=status,
            reason=reason,
            observed_generation=self.state.generation,
            last_transition_time=now,
            message=message,
        )
        conditions = set_condition(self.state.conditions, new)
        if conditions != self.state.conditions:
            self.state.conditions = conditions
            self.touch()


FINISHED = (OperationState.FULFILLED, OperationState.FAILED, OperationState.CANCELLED)


def told(differences: Sequence[Difference]) -> str:
    """Say what differs, on one line."""
    return "; ".join(
        f"{found.step}: {found.what} is {found.found}, not {found.wanted}" for found in differences
    )


def is_open(operation: Operation) -> bool:
    return operation.state not in FINISHED


def began(operation: Operation, step: Step, state: StepState, now: datetime) -> Operation:
    """Note that the step, or its undoing, is under way; a step tried again keeps its start."""
    earlier = next((s for s in operation.steps if s.step == step), None)
    if earlier is not None and (earlier.state, state) == (StepState.FAILED, StepState.RUNNING):
        record = replace(earlier, state=state, finished_at=None)
    else:
        message = "" if earlier is None else earlier.message
        record = StepRecord(step, state, started_at=now, message=message)
    return replace(_with(operation, record), state=OperationState.IN_PROGRESS)


def ended(
    operation: Operation, step: Step, state: StepState, now: datetime, message: str = ""
) -> Operation:
    """Note how the step ended."""
    earlier = next(s for s in operation.steps if s.step == step)
    record = replace(earlier, state=state, finished_at=now, message=message or earlier.message)
    return _with(operation, record)


def closed(
    operation: Operation, state: OperationState, now: datetime, reason: str = ""
) -> Operation:
    return replace(operation, state=state, finished_at=now, failure_reason=reason)


def _with(operation: Operation, record: StepRecord) -> Operation:
    steps = [record if s.step == record.step else s for s in operation.steps]
    if record not in steps:
        steps.append(record)
    return replace(operation, steps=tuple(steps))
