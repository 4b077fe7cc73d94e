"""One change of a namespace's replicas."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from cells.placement import Placement, explain_refusal, without
from controlplane.errors import ErrorType, no_capacity
from provisioning.failures import cause_of, is_permanent, message_of
from provisioning.ports import Incarnation
from provisioning.replicas import steps
from provisioning.replicas.types import Phase, ReplicaAt, ReplicaChangeRequest
from provisioning.types import (
    Failover,
    FailoverCause,
    FailoverMode,
    PassiveReplica,
    ReplicaChangeKind,
    ReplicaChangeOutcome,
    ReplicaChangeReport,
    ReplicaMoved,
    ReplicaProgress,
)

COPIES = 3
"""How often what is missing is replicated again before a change gives up."""
COMPARE_AGAIN = timedelta(seconds=2)
FIRST_LOOK, LONGEST_LOOK = timedelta(seconds=5), timedelta(minutes=5)
"""How soon people hear how far a copy is: at first, and when it takes long."""
ALLOWED_LAG = timedelta(seconds=10)
"""How far the other side may be behind when a handover begins."""
MIGRATION_PATIENCE = timedelta(seconds=30)
"""How long the handover of a migration may take: nobody is in a hurry."""
REVIVE_AFTER = (timedelta(seconds=12), timedelta(seconds=20))
"""Pauses after a failover: what lies for 10 seconds counts as lost."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
"""Between two tries of an undo."""

CHANGE_MOVED, CHANGE_REPORTED = "replica_change_moved", "replica_change_reported"
"""The signals by which the namespace hears of it."""

T = TypeVar("T")
Undo = Callable[[], Awaitable[None]]


class _Stopped(Exception):
    """Somebody wants it undone."""


class _Hopeless(Exception):
    """It cannot be done; the message says why."""


@workflow.defn
class ReplicaChangeWorkflow:
    """Adds, removes, fails over or moves a replica, or leaves everything as it was.

    The undo of a step is noted before the step is taken. Nothing interrupts an undo, nor what comes
    after a point of no return. What has changed is reported as soon as it has: the namespace looks
    after its replicas while this goes on.
    """

    @workflow.init
    def __init__(self, request: ReplicaChangeRequest) -> None:
        self._request = request
        self._undos: list[Undo] = []
        self._phase = Phase.PENDING
        self._stopping = False
        self._confirmed = request.confirmed
        self._opened = False
        self._is_beyond_return = False
        self._led_to = request.active.cell
        """Where ingress and DNS were last told to lead, whatever came of it."""
        self._under_way: asyncio.Future[Any] | None = None
        self._failed_over_to: ReplicaAt | None = None

    @workflow.run
    async def run(self, _: ReplicaChangeRequest) -> ReplicaChangeReport:
        carrying_out = asyncio.create_task(self._carry_out())
        try:
            return await asyncio.shield(carrying_out)
        except asyncio.CancelledError:
            self.abort()
            return await carrying_out

    @workflow.signal
    def abort(self) -> None:
        """Undo it. Too late once there is no way back."""
        if not self._is_beyond_return:
            self._stopping = True
            if self._under_way is not None:
                self._under_way.cancel()

    @workflow.signal
    def tell(self) -> None:
        """Somebody wants to know whether this goes on: that they could ask is the answer."""

    @workflow.signal
    def confirm(self) -> None:
        """Let a migration go beyond its point of no return."""
        self._confirmed = True

    @workflow.signal
    def opened(self) -> None:
        """The ingress of the replica that was added lets the namespace's clients in."""
        self._opened = True

    async def _carry_out(self) -> ReplicaChangeReport:
        try:
            message = await self._change()
        except (_Stopped, _Hopeless, FailureError) as error:
            failed_in, why = self._phase, _reason(error)
            await self._undo(why)
            report = ReplicaChangeReport(
                self._request.id,
                f"{failed_in}: {why}",
                ReplicaChangeOutcome.UNDONE,
                is_permanent=isinstance(error, FailureError) and is_permanent(error),
            )
        else:
            report = ReplicaChangeReport(self._request.id, message, ReplicaChangeOutcome.DONE)
        await self._report(report)
        await self._revive()
        return report

    async def _change(self) -> str:
        request = self._request
        match request.kind:
            case ReplicaChangeKind.ADD:
                added = await self._add()
                return f"{added.cell} has a replica"
            case ReplicaChangeKind.REMOVE:
                source = self._replica(request.source)
                await self._require_known(source, request.active)
                await self._remove(source, request.active)
                return f"{source.cell} has no replica any more"
            case ReplicaChangeKind.FAILOVER:
                target = self._replica(request.target)
                await self._fail_over(request.active, target, request.mode, request.graceful_within)
                return f"{target.cell} is active"
            case ReplicaChangeKind.MIGRATE:
                return await self._migrate()

    # Adding.

    async def _add(self) -> ReplicaAt:
        request = self._request
        placement = await self._place()
        assert placement.cell is not None, "a refusal is raised"
        active, cell = request.active, placement.cell
        added = ReplicaAt(cell, placement.region, request.number)
        target = self._incarnation(added)
        await self._enter(Phase.PREPARE, f"cell {cell}", target=cell)
        self._undos.append(lambda: steps.remove_database(target))
        database = await self._take(steps.write_database(target))
        for replica in (active, *request.passive):
            await self._enter(Phase.JOIN, f"{replica.cell} and {cell}")
            await self._take(steps.join(self._incarnation(replica), cell))
        await self._enter(Phase.EXTEND, f"to {cell}")
        self._undos.append(lambda: self._withdraw(added))
        await self._take(steps.extend(self._incarnation(active), cell))
        await self._enter(Phase.COPY, f"to {cell}")
        await self._copy(active, added)
        await self._enter(Phase.COMPARE, f"{active.cell} and {cell}")
        await self._complete(active, added)
        await steps.confirm(target)
        made = PassiveReplica(
            region=added.region,
            placement=placement,
            number=added.number,
            since=workflow.now(),
            database=database,
        )
        await self._report(ReplicaChangeReport(request.id, added=made))
        return added

    async def _place(self) -> Placement:
        """Hold capacity in the best cell that still has it."""
        request = self._request
        beside = tuple(replica.cell for replica in (request.active, *request.passive))
        await self._enter(Phase.PLACE, request.target or f"in {request.region}")
        placement = await self._take(steps.choose_cell(request.region, request.target, beside))
        while placement.cell is not None:
            target = Incarnation(request.namespace, request.uid, placement.cell, request.number)
            self._undos.append(_releasing(target))
            try:
                await self._take(steps.reserve(target))
            except FailureError as error:
                cause = cause_of(error)
                if not (
                    isinstance(cause, ApplicationError) and cause.type == ErrorType.NO_CAPACITY
                ):
                    raise
                placement = without(placement, placement.cell, cause.message)
            else:
                return placement
        raise no_capacity(explain_refusal(placement))

    async def _copy(self, active: ReplicaAt, to: ReplicaAt) -> None:
        patience = FIRST_LOOK
        while True:
            copied = await self._take(steps.copy(self._incarnation(active), to.cell, patience))
            if copied.progress.failed:
                raise _Hopeless(copied.progress.failed)
            if copied.is_over:
                return
            await self._tell(f"to {to.cell}", copied.progress.done, copied.progress.of)
            patience = min(patience * 2, LONGEST_LOOK)

    async def _complete(self, source: ReplicaAt, to: ReplicaAt, *, may_copy: bool = True) -> None:
        """Raise unless `to` has everything that `source` has, given some time.

        What is missing is replicated again, which only an active source does.
        """
        for attempt in range(COPIES + 1):
            found = await self._take(steps.compare(self._incarnation(source), to.cell))
            if found.is_complete:
                return
            some = ", ".join(found.missing[:3])
            lacking = f"{to.cell} lacks {found.missing_count} workflow executions, such as {some}"
            await self._tell(lacking)
            if attempt < COPIES:
                if may_copy:
                    await self._copy(source, to)
                await self._take(workflow.sleep(COMPARE_AGAIN))
        raise _Hopeless(lacking)

    # Failing over.

    async def _fail_over(
        self, source: ReplicaAt, target: ReplicaAt, mode: FailoverMode, within: timedelta
    ) -> None:
        began_at = workflow.now()
        forced = mode == FailoverMode.FORCED
        if mode == FailoverMode.GRACEFUL:
            await self._hand_over(source, target, within)
        elif mode == FailoverMode.GRACEFUL_THEN_FORCED:
            try:
                async with asyncio.timeout(within.total_seconds()):
                    await self._hand_over(source, target, within)
            except (FailureError, _Hopeless, TimeoutError) as error:
                why = _reason(error) or f"not within {within.total_seconds():.0f} s"
                await self._tell(f"not gracefully: {why}")
                forced = True
        if forced:
            await self._enter(Phase.FORCE, f"{target.cell} becomes active")
            await self._take(steps.force(self._incarnation(target)))
        await self._switch(source, target, forced=forced, took=workflow.now() - began_at)

    async def _hand_over(self, source: ReplicaAt, target: ReplicaAt, within: timedelta) -> None:
        """Make the target active without loss, or leave everything as it is."""
        active = self._incarnation(source)
        await self._enter(Phase.COMPARE, f"{source.cell} and {target.cell}")
        await self._take(steps.check_target(target.cell))
        await self._complete(source, target)
        await self._enter(Phase.HAND_OVER, f"{source.cell} to {target.cell}")
        # First: a poll that came to the former cell after the handover would idle there for a
        # minute; one that waits where the namespace becomes active gets tasks as soon as it is.
        await self._lead((target, source), target)
        try:
            await self._take(steps.hand_over(active, target.cell, within, ALLOWED_LAG))
        except asyncio.CancelledError:
            # It is forced next, which settles everything.
            if not await self._is_active(target):
                raise
        except (FailureError, _Stopped):
            # Out of a handover, whoever gave it up. A cell that is lost is in none that matters.
            with contextlib.suppress(FailureError):
                await steps.settle(active, steps.BRIEFLY)
            if not await self._is_active(target):
                await self._lead((source, target), source)
                raise

    async def _lead(self, replicas: Sequence[ReplicaAt], active: ReplicaAt) -> tuple[bool, ...]:
        """Let the replicas' ingresses pass requests on to the active one; return which do."""
        return tuple(
            await asyncio.gather(
                *(
                    _succeeds(steps.route(self._incarnation(replica), active.cell, steps.BRIEFLY))
                    for replica in replicas
                )
            )
        )

    async def _is_active(self, replica: ReplicaAt) -> bool:
        """Return whether the replica says so of itself; one that does not answer is not."""
        try:
            facts = await steps.observe(self._incarnation(replica), steps.BRIEFLY)
        except FailureError:
            return False
        return facts is not None and facts.active == replica.cell

    async def _switch(
        self, source: ReplicaAt, target: ReplicaAt, *, forced: bool, took: timedelta
    ) -> None:
        """Lead everybody to the target; nothing interrupts this."""
        self._led_to = target.cell
        await self._enter(Phase.SWITCH, f"to {target.cell}")
        now_active = self._incarnation(target)
        # It is active, whether or not it can be seen to act on it.
        await _succeeds(steps.await_active(now_active, target.cell))
        others = [source, *(r for r in self._request.passive if r.cell != target.cell)]
        replicas = (target, *others)
        published, followed = await asyncio.gather(
            _or_none(steps.publish_dns(now_active)), self._lead(replicas, target)
        )
        routed = tuple(
            replica.cell for replica, follows in zip(replicas, followed, strict=True) if follows
        )
        self._failed_over_to = target
        failover = Failover(
            at=workflow.now(),
            source=source.cell,
            target=target.cell,
            cause=FailoverCause.MANUAL,
            forced=forced,
            took=took,
        )
        await self._report(
            ReplicaChangeReport(
                self._request.id, failed_over=failover, dns=published, routed=routed
            )
        )

    async def _revive(self) -> None:
        """Have what the services lost in the moment of a failover handed out again: this is over,
        and whoever does something else to the replicas need not wait for it."""
        if self._failed_over_to is None:
            return
        for pause in REVIVE_AFTER:
            await workflow.sleep(pause)
            with contextlib.suppress(FailureError):
                await steps.revive(self._incarnation(self._failed_over_to))

    # Removing and moving.

    async def _require_known(self, source: ReplicaAt, active: ReplicaAt) -> None:
        """Raise while the source has something that the active replica does not have."""
        await self._enter(Phase.COMPARE, f"{source.cell} and {active.cell}")
        # What never came so far that the namespace was there has nothing.
        if await self._take(steps.observe(self._incarnation(source))) is not None:
            await self._complete(source, active, may_copy=False)

    async def _remove(self, source: ReplicaAt, active: ReplicaAt) -> None:
        """Take the replica away for good, however long it takes."""
        self._is_beyond_return, self._undos = True, []
        target = self._incarnation(source)
        # First, so that the namespace does not look after it any more.
        await self._report(ReplicaChangeReport(self._request.id, removed=source.cell))
        await self._enter(Phase.CLOSE, f"cell {source.cell}")
        await self._finish(lambda: steps.close_ingress(target))
        await self._enter(Phase.WITHDRAW, f"from {source.cell}")
        await self._finish(lambda: steps.withdraw(self._incarnation(active), source.cell))
        await self._enter(Phase.CLEAN, f"cell {source.cell}")
        await self._finish(lambda: steps.remove_database(target))
        await _release(target)

    async def _migrate(self) -> str:
        request = self._request
        source, active = self._replica(request.source), request.active
        added = await self._add()
        await self._enter(Phase.OPEN, f"cell {added.cell}")
        await self._take(workflow.wait_condition(lambda: self._opened))
        if source.cell == active.cell:
            self._undos.append(lambda: self._fail_back(added, source))
            await self._fail_over(source, added, FailoverMode.GRACEFUL, MIGRATION_PATIENCE)
            active = added
        await self._soak(source)
        await self._require_known(source, active)
        await self._remove(source, active)
        return f"{added.cell} has the replica that {source.cell} had"

    async def _soak(self, source: ReplicaAt) -> None:
        until = workflow.now() + self._request.soak
        if self._request.soak:
            await self._enter(Phase.SOAK, f"until {until:%Y-%m-%d %H:%M} UTC")
            await self._take(workflow.sleep(self._request.soak))
        if not self._confirmed:
            await self._enter(
                Phase.SOAK,
                f"{source.cell} is still a replica",
                waits_for="confirm the migration, or abort it: what comes next cannot be undone",
            )
            await self._take(workflow.wait_condition(lambda: self._confirmed))

    async def _fail_back(self, source: ReplicaAt, target: ReplicaAt) -> None:
        facts = await steps.observe(self._incarnation(target))
        if facts is None or facts.active != target.cell:
            await self._hand_over(source, target, MIGRATION_PATIENCE)
        # Also when it was handed over by a call whose reply was lost.
        if self._led_to != target.cell:
            await self._switch(source, target, forced=False, took=timedelta(0))

    # Undoing.

    async def _undo(self, why: str) -> None:
        """Make everything as it was, in reverse, however long it takes."""
        self._is_beyond_return, self._stopping = True, False
        if self._undos:
            await self._enter(Phase.UNDO, why)
        while self._undos:
            await self._finish(self._undos[-1], f"{why}; the undo fails, and is tried again: ")
            self._undos.pop()

    async def _finish(self, step: Undo, saying: str = "it fails, and is tried again: ") -> None:
        """Take a step to which there is no alternative, however often it fails."""
        pause = FIRST_PAUSE
        while True:
            try:
                await step()
            except (FailureError, _Hopeless) as error:
                await self._tell(f"{saying}{_reason(error)}")
                await workflow.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return

    async def _withdraw(self, added: ReplicaAt) -> None:
        await self._report(ReplicaChangeReport(self._request.id, removed=added.cell))
        await steps.close_ingress(self._incarnation(added))
        await steps.withdraw(self._incarnation(self._request.active), added.cell)

    # Telling, and what can be stopped.

    async def _take(self, step: Coroutine[Any, Any, T]) -> T:
        """Take a step that an abort cuts short."""
        if self._stopping:
            step.close()
            raise _Stopped("it was aborted")
        under_way = asyncio.ensure_future(step)
        self._under_way = under_way
        try:
            return await under_way
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            raise _Stopped("it was aborted") from None
        except FailureError as error:
            if self._stopping and is_cancelled_exception(error):
                raise _Stopped("it was aborted") from None
            raise
        finally:
            self._under_way = None

    async def _enter(
        self, phase: Phase, message: str, *, target: str = "", waits_for: str = ""
    ) -> None:
        self._phase = phase
        progress = ReplicaProgress(phase, message, waits_for=waits_for)
        await self._signal(CHANGE_MOVED, ReplicaMoved(self._request.id, progress, target))

    async def _tell(self, message: str, done: int = 0, of: int = 0) -> None:
        progress = ReplicaProgress(self._phase, message, done, of)
        await self._signal(CHANGE_MOVED, ReplicaMoved(self._request.id, progress))

    async def _report(self, report: ReplicaChangeReport) -> None:
        await self._signal(CHANGE_REPORTED, report)

    async def _signal(self, signal: str, content: object) -> None:
        namespace = workflow.get_external_workflow_handle(self._request.report_to)
        with contextlib.suppress(ApplicationError):  # There is nobody to hear it.
            await namespace.signal(signal, content)

    def _replica(self, cell: str) -> ReplicaAt:
        replicas = (self._request.active, *self._request.passive)
        return next(replica for replica in replicas if replica.cell == cell)

    def _incarnation(self, replica: ReplicaAt) -> Incarnation:
        request = self._request
        return Incarnation(request.namespace, request.uid, replica.cell, replica.number)


def _releasing(target: Incarnation) -> Undo:
    return lambda: _release(target)


async def _release(target: Incarnation) -> None:
    # A cell that is gone holds nothing.
    with contextlib.suppress(ApplicationError):
        await steps.release(target)


async def _succeeds(step: Awaitable[None]) -> bool:
    try:
        await step
    except FailureError:
        return False
    return True


async def _or_none(step: Awaitable[T]) -> T | None:
    try:
        return await step
    except FailureError:
        return None


def _reason(error: Exception) -> str:
    return message_of(error) if isinstance(error, FailureError) else str(error)
