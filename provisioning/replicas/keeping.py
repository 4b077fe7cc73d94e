"""What a namespace's workflow does about its replicas: begins changes of them, takes note of what
becomes of these, and looks after the passive ones."""

import asyncio
import contextlib
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import ParentClosePolicy

from controlplane.ids import replica_change_workflow_id
from controlplane.resource import ConditionStatus
from provisioning import steps as entity_steps
from provisioning.activities import Admit, Prove, ProvisioningActivities, WriteDatabase
from provisioning.failures import is_permanent, message_of
from provisioning.journal import Failure, Journal
from provisioning.plan import Wanted, admission_basis, admission_rules
from provisioning.ports import Incarnation
from provisioning.replicas import plan, steps
from provisioning.replicas.plan import PassiveStep
from provisioning.replicas.types import ReplicationState
from provisioning.replicas.workflow import ReplicaChangeWorkflow
from provisioning.types import (
    DecisionKind,
    Failover,
    FailoverCause,
    NamespaceState,
    OperationState,
    PassiveReplica,
    ProofFacts,
    ReplicaChange,
    ReplicaChangeKind,
    ReplicaChangeOutcome,
    ReplicaChangeReport,
    Step,
)

_SHOWN_AS = {
    PassiveStep.WRITE_DATABASE: Step.WRITE_DATABASE,
    PassiveStep.ROUTE: Step.ADMIT,
    PassiveStep.ADMIT: Step.ADMIT,
    PassiveStep.PROVE: Step.PROVE,
}


async def begin(state: NamespaceState, journal: Journal, change: ReplicaChange) -> None:
    """Start the workflow of a change of the replicas."""
    now = workflow.now()
    state.changes += 1
    adds = change.kind in (ReplicaChangeKind.ADD, ReplicaChangeKind.MIGRATE)
    begun = replace(
        change,
        id=f"{state.uid[:8]}-{state.changes}",
        number=state.numbers if adds else change.number,
        started_at=now,
        moved_at=now,
    )
    if adds:
        state.numbers += 1
    state.change = begun
    journal.touch()
    await workflow.start_child_workflow(
        ReplicaChangeWorkflow.run,
        plan.request(state, begun, workflow.info().workflow_id),
        id=replica_change_workflow_id(state.id, begun.id),
        # It outlives the run that began it, and reports by signals.
        parent_close_policy=ParentClosePolicy.ABANDON,
        static_summary=f"{begun.kind} {begun.target or begun.region}",
    )


async def instruct(state: NamespaceState, told: set[str]) -> None:
    """Tell the workflow of the change under way what it is to hear, once each."""
    change = state.change
    if change is None:
        return
    added = state.passive.get(change.target)
    due = {
        "abort": change.aborted,
        "confirm": change.confirmed,
        "opened": added is not None and plan.is_open(added),
    }
    handle = workflow.get_external_workflow_handle(replica_change_workflow_id(state.id, change.id))
    for signal, is_due in due.items():
        if is_due and f"{change.id} {signal}" not in told:
            told.add(f"{change.id} {signal}")
            with contextlib.suppress(ApplicationError):  # It has just ended.
                await handle.signal(signal)


async def ask(state: NamespaceState) -> None:
    """Ask the workflow of the change under way how far it is; one that is gone is given up.

    Whatever it has left behind is a replica that nobody wants, and is removed as such.
    """
    change = state.change
    if change is None:
        return
    handle = workflow.get_external_workflow_handle(replica_change_workflow_id(state.id, change.id))
    try:
        await handle.signal("tell")
    except ApplicationError:
        if state.reports:  # It has ended properly, and said so.
            return
        plan.expect_leftovers(state, change, workflow.now())
        if change.kind == ReplicaChangeKind.REMOVE:
            # What is to go is there again, and nothing else was meant: it is begun anew.
            state.change = None
            return
        gone = "its workflow is gone: somebody has terminated it"
        outcome = ReplicaChangeOutcome.UNDONE
        state.reports = [ReplicaChangeReport(change.id, gone, outcome)]


def take_note(state: NamespaceState, journal: Journal) -> ReplicaChangeReport | None:
    """Take what was reported into the state; return the report of a change that was undone."""
    undone = None
    for report in state.reports:
        change = state.change
        if change is None or change.id != report.change:
            continue
        if report.failed_over is not None:
            happened = replace(report.failed_over, cause=change.cause, reason=change.reason)
            report = replace(report, failed_over=happened)
            state.failovers = [*state.failovers, happened][-plan.FAILOVERS_KEPT :]
        plan.note(state, report)
        _decide(state, journal, change, report)
        if report.outcome is not None:
            _end(state, journal, change, report)
            undone = report if report.outcome == ReplicaChangeOutcome.UNDONE else None
    if state.reports:
        state.reports = []
        journal.touch()
    return undone


async def look_after(state: NamespaceState, wanted: Wanted) -> list[Failure]:
    """Do what each passive replica needs, side by side, and return what failed."""
    unwanted = plan.unwanted_cell(state)
    kept = [cell for cell in sorted(state.passive) if cell != unwanted]
    found = await asyncio.gather(
        _route_active(state), *(_look_after(state, wanted, cell) for cell in kept)
    )
    return [failure for failure in found if failure is not None]


async def look(state: NamespaceState, journal: Journal, wanted: Wanted, *, thorough: bool) -> None:
    """Look at the passive replicas and at the replication, and mend or adopt what is found.

    A thorough look compares what every replica has with what the active one has.
    """
    now = workflow.now()
    active = _incarnation(state, plan.active_cell(state))
    try:
        facts = await steps.observe(active)
        if facts is not None and facts.state == ReplicationState.HANDOVER:
            await steps.settle(active, steps.FOR_NOW)
        if facts is not None and facts.active in state.passive:
            found = Failover(
                at=now,
                source=active.cell,
                target=facts.active,
                cause=FailoverCause.MANUAL,
                forced=False,
                reason="found to be so: it was not made here",
            )
            plan.note(state, ReplicaChangeReport("", failed_over=found))
            state.failovers = [*state.failovers, found][-plan.FAILOVERS_KEPT :]
            journal.decide(
                DecisionKind.FAILED_OVER, found.reason, now, before=found.source, after=found.target
            )
            active = _incarnation(state, facts.active)
        missing = []
        for cell in sorted(state.passive):
            seen = await entity_steps.observe(_incarnation(state, cell), wanted)
            kept = plan.forget_part(state.passive[cell], seen.seen)
            state.passive = {**state.passive, cell: kept}
            if not thorough:
                continue
            compared = await steps.compare(active, cell)
            if not compared.is_complete:
                missing.append(f"{cell} lacks {compared.missing_count} workflow executions")
                await steps.copy(active, cell, steps.COPY_PATIENCE)
    except FailureError as error:
        journal.report_replicated(ConditionStatus.UNKNOWN, "CannotLook", now, message_of(error))
        return
    if thorough:
        status = ConditionStatus.FALSE if missing else ConditionStatus.TRUE
        reason = "BeingCopied" if missing else "Complete"
        journal.report_replicated(status, reason, now, "; ".join(missing))


async def remove_all(state: NamespaceState) -> list[Failure]:
    """Take every passive replica away, and return what failed."""
    if not state.passive:
        return []
    active = _incarnation(state, plan.active_cell(state))
    found = await asyncio.gather(*(_remove(state, active, cell) for cell in sorted(state.passive)))
    return [failure for failure in found if failure is not None]


async def _route_active(state: NamespaceState) -> Failure | None:
    if state.is_routed:
        return None
    active = plan.active_cell(state)
    try:
        await steps.route(_incarnation(state, active), active, steps.FOR_NOW)
    except FailureError as error:
        return Failure(Step.ADMIT, message_of(error), is_permanent(error))
    state.is_routed = True
    return None


async def _look_after(state: NamespaceState, wanted: Wanted, cell: str) -> Failure | None:
    while (replica := state.passive.get(cell)) is not None:
        step = plan.passive_step(state, wanted, replica)
        if step is None:
            return None
        target = _incarnation(state, cell)
        try:
            done = await _take(step, target, state, wanted, replica)
        except FailureError as error:
            message = f"in {cell}: {message_of(error)}"
            return Failure(_SHOWN_AS[step], message, is_permanent(error))
        state.passive = {**state.passive, cell: done}
    return None


async def _take(
    step: PassiveStep,
    target: Incarnation,
    state: NamespaceState,
    wanted: Wanted,
    replica: PassiveReplica,
) -> PassiveReplica:
    run, active = workflow.execute_activity_method, plan.active_cell(state)
    match step:
        case PassiveStep.WRITE_DATABASE:
            former = replica.database
            request = WriteDatabase(target, None if former is None else former.rotated_at)
            database = await run(ProvisioningActivities.write_database, request, **steps.FOR_NOW)
            return replace(replica, database=database)
        case PassiveStep.ROUTE:
            await steps.route(target, active, steps.FOR_NOW)
            return replace(replica, routed_to=active)
        case PassiveStep.ADMIT:
            rules = admission_rules(wanted, state.observed)
            admit = Admit(target, rules, admission_basis(wanted, state.observed))
            admission = await run(ProvisioningActivities.admit, admit, **steps.FOR_NOW)
            return replace(replica, admission=admission)
        case PassiveStep.PROVE:
            certificate, admitted = state.observed.certificate, replica.admission
            assert certificate is not None, "what is proven was issued before"
            assert admitted is not None, "what is proven was admitted before"
            prove = Prove(
                target, certificate.fingerprint, wanted.spec.api_keys, at_its_own_ingress=True
            )
            await run(ProvisioningActivities.prove, prove, **steps.FOR_NOW)
            return replace(replica, proof=ProofFacts(admitted.digest, workflow.now()))


async def _remove(state: NamespaceState, active: Incarnation, cell: str) -> Failure | None:
    target = _incarnation(state, cell)
    try:
        await steps.close_ingress(target, steps.FOR_NOW)
        await steps.withdraw(active, cell, steps.FOR_NOW)
        await steps.remove_database(target, steps.FOR_NOW)
    except FailureError as error:
        return Failure(Step.REGISTER, f"in {cell}: {message_of(error)}", is_permanent(error))
    state.passive = {other: kept for other, kept in state.passive.items() if other != cell}
    return None


def _decide(
    state: NamespaceState, journal: Journal, change: ReplicaChange, report: ReplicaChangeReport
) -> None:
    """Note what has become of the replicas, for the audit log."""
    now, operation = workflow.now(), change.operation
    if report.added is not None:
        cell = report.added.placement.cell or ""
        journal.decide(
            DecisionKind.REPLICA_ADDED,
            f"of {len(report.added.placement.verdicts)} cells",
            now,
            operation=operation,
            after=cell,
        )
    if (failover := report.failed_over) is not None:
        how = "by force" if failover.forced else "gracefully"
        why = f": {failover.reason}" if failover.reason else ""
        journal.decide(
            DecisionKind.FAILED_OVER,
            f"{failover.cause}, {how}, in {failover.took.total_seconds():.1f} s{why}",
            now,
            operation=operation,
            before=failover.source,
            after=failover.target,
        )
    if report.removed:
        journal.decide(
            DecisionKind.REPLICA_REMOVED,
            f"{len(state.passive) + 1} left",
            now,
            operation=operation,
            before=report.removed,
        )


def _end(
    state: NamespaceState, journal: Journal, change: ReplicaChange, report: ReplicaChangeReport
) -> None:
    """Close what the change was made for."""
    now = workflow.now()
    state.change = None
    was_asked_for = change.kind in (ReplicaChangeKind.FAILOVER, ReplicaChangeKind.MIGRATE)
    if was_asked_for:
        state.wanted_changes = state.wanted_changes[1:]
    if report.outcome == ReplicaChangeOutcome.UNDONE:
        journal.decide(
            DecisionKind.REPLICAS_UNCHANGED, report.message, now, operation=change.operation
        )
        operations = [change.operation] if was_asked_for else state.replica_operations
        reason = f"{report.message}. The replicas are as they were before"
        if was_asked_for:
            # Nobody knows how far it came: where the name leads, and what that shows, is seen to.
            state.observed = replace(state.observed, dns=None, proof=None)
            state.is_routed = False
            state.passive = {
                cell: replace(replica, routed_to="") for cell, replica in state.passive.items()
            }
        journal.close(operations, OperationState.FAILED, now, reason)
        if not was_asked_for:
            # It is not tried again until somebody wants it again.
            state.replica_operations = []
            state.spec = (
                plan.spec_without(state, change.region)
                if change.kind == ReplicaChangeKind.ADD
                else plan.spec_of_present(state)
            )
            # Of the regions alone: what else was asked for may still have to be taken back.
            state.settled = state.settled and plan.with_regions(state.settled, state.spec.regions)
            state.generation += 1
        return
    if change.kind == ReplicaChangeKind.REMOVE:
        state.left_regions = {**state.left_regions, change.region: now}
    if change.kind == ReplicaChangeKind.MIGRATE:
        journal.decide(
            DecisionKind.MIGRATED,
            change.reason,
            now,
            operation=change.operation,
            before=change.source,
            after=change.target,
        )
        state.spec = plan.moved(state)
        state.settled = state.settled and plan.with_regions(state.settled, state.spec.regions)
        state.generation += 1
    if was_asked_for:
        journal.close([change.operation], OperationState.FULFILLED, now)


def _incarnation(state: NamespaceState, cell: str) -> Incarnation:
    replica = state.passive.get(cell)
    number = state.active_number if replica is None else replica.number
    return Incarnation(state.id, state.uid, cell, number)
