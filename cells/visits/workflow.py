"""One visit to a cell."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    is_cancelled_exception,
)

from cells.release import Software
from cells.types import CellSpec
from cells.visits import plan, steps
from cells.visits.activities import Begun
from cells.visits.failures import reason_of
from cells.visits.plan import Hop
from cells.visits.types import (
    BeginVisit,
    EndVisit,
    VisitMoved,
    VisitOutcome,
    VisitPhase,
    VisitReport,
    VisitRequest,
)
from cells.workflow import CellWorkflow
from controlplane.ids import cell_workflow_id

UNDO_ROUNDS = 6
UNDO_PAUSE = timedelta(seconds=5)
"""Before the second round of an undo; before each later one twice as long."""
STOPPED = "the visit was asked to stop"
VISIT_ENDED = "visit_ended"
"""The signal by which the workflow that asked for the visit hears how it ended."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Failed:
    why: str


@dataclass(frozen=True)
class _Ending:
    outcome: VisitOutcome
    software: Software | None
    release: str
    message: str


class _Sick(Exception):
    """The cell is not well after what was done to it."""


@workflow.defn
class CellVisitWorkflow:
    """Brings one cell to a release, hop by hop, or back to where the last good hop left it.

    It always returns a report. A cancellation asks it to stop: it begins no further hop, and undoes
    the one under way, which nothing interrupts.
    """

    @workflow.init
    def __init__(self, request: VisitRequest) -> None:
        self._request = request
        self._began_at = workflow.now()
        self._generation = 0
        self._wrote_with = 0
        self._gap = timedelta(0)
        self._silent_since: datetime | None = None
        self._stopping = False
        self._under_way: asyncio.Future[Any] | None = None

    @workflow.run
    async def run(self, _: VisitRequest) -> VisitReport:
        visiting = asyncio.create_task(self._visit())
        try:
            return await asyncio.shield(visiting)
        except asyncio.CancelledError:
            self._stopping = True
            if self._under_way is not None:
                self._under_way.cancel()
            return await visiting

    async def _visit(self) -> VisitReport:
        request = self._request
        try:
            begun = await steps.begin(
                request.cell, BeginVisit(request.id, request.release.name, _asked_by(request))
            )
        except ActivityError as error:
            # The cell is not this visit's, or not any more: it hears nothing of it.
            return await self._report(_Ending(VisitOutcome.REFUSED, None, "", reason_of(error)))
        self._generation = begun.generation
        ending = await self._carry_out(begun)
        with contextlib.suppress(ActivityError):  # Somebody has ended it: the report still goes.
            await steps.end(
                request.cell,
                EndVisit(
                    visit=request.id,
                    outcome=ending.outcome,
                    software=ending.software,
                    release=ending.release,
                    message=ending.message,
                ),
            )
        return await self._report(ending)

    async def _carry_out(self, begun: Begun) -> _Ending:
        request, release = self._request, self._request.release
        inspection = await self._attempt(partial(steps.inspect, request, begun.spec))
        if isinstance(inspection, _Failed):
            return _Ending(VisitOutcome.REFUSED, None, "", inspection.why)
        running = inspection.running
        if refusal := plan.refusal(request, running, inspection.obstacles, inspection.problems):
            return _Ending(VisitOutcome.REFUSED, running, "", refusal)
        if self._stopping:
            return _Ending(VisitOutcome.REFUSED, running, "", STOPPED)
        if release.schema_steps:
            migrated = await self._attempt(partial(self._migrate, begun.spec))
            if isinstance(migrated, _Failed):
                why = f"the schema could not be changed: {migrated.why}"
                return await self._undo(begun.spec, running, begun.release, why)
        has, software = begun.release, running
        for hop in plan.hops(request, running):
            if hop.before != running:
                has = ""  # What is only a stop on the way is no release.
                await self._attempt(partial(self._settle, hop))
            if self._stopping:
                message = f"{STOPPED}. It runs {hop.before.server_version} and is well"
                return _Ending(VisitOutcome.UNDONE, hop.before, has, message)
            taken = await self._attempt(partial(self._take, begun.spec, hop))
            if isinstance(taken, _Failed):
                why = f"{hop.after.server_version} failed: {taken.why}"
                return await self._undo(begun.spec, hop.before, has, why)
            software = hop.after
        message = f"it runs {software.server_version} and is well"
        now_has = request.back_to.release if request.back_to is not None else release.digest
        return _Ending(VisitOutcome.DONE, software, now_has, message)

    async def _migrate(self, spec: CellSpec) -> None:
        request, schema_steps = self._request, self._request.release.schema_steps
        names = ", ".join(f"{step.store} {step.version}" for step in schema_steps)
        await self._move(VisitPhase.SCHEMA, f"to {names}")
        self._heed_stop()
        self._wrote_with = self._generation
        await steps.migrate_schema(request.cell, spec, schema_steps, self._generation)

    async def _settle(self, hop: Hop) -> None:
        pause = self._request.rules.settle
        if pause > timedelta(0):
            until = workflow.now() + pause
            message = f"settling until {until:%H:%M:%S} before {hop.after.server_version}"
            await self._move(VisitPhase.VERIFY, message)
            self._heed_stop()
            await workflow.sleep(pause, summary=message)

    async def _take(self, spec: CellSpec, hop: Hop) -> None:
        """Raise what says why the cell is not well with what the hop brings."""
        here, there = hop.before.server_version, hop.after.server_version
        await self._move(VisitPhase.SERVER, f"{here} to {there}" if here != there else there)
        self._heed_stop()
        await self._deploy(spec, hop.after)
        await self._move(VisitPhase.VERIFY, there)
        self._heed_stop()
        await self._verify(spec)

    async def _undo(self, spec: CellSpec, software: Software, has: str, why: str) -> _Ending:
        """Bring back what ran before. Nothing interrupts this: a cell is not left halfway."""
        request = self._request
        if one_way := plan.one_way_steps(request.release):
            return _Ending(
                VisitOutcome.BROKEN,
                None,
                "",
                f"{why}. Nothing leads back from the schema {one_way}: roll forward only. Mend the "
                "cause, lift the quarantine, and start the rollout of a corrected release",
            )
        undone = await self._bring_back(spec, software, why)
        if not isinstance(undone, _Failed):
            kept = "; the newer schema stays" if request.release.schema_steps else ""
            message = f"{why}. The cell is back at {software.server_version} and well{kept}"
            return _Ending(VisitOutcome.UNDONE, software, has, message)
        return _Ending(
            VisitOutcome.BROKEN,
            None,
            "",
            f"{why}. {software.server_version} could not be brought back: {undone.why}. Bring the "
            "cell up by hand, then lift its quarantine",
        )

    async def _bring_back(self, spec: CellSpec, software: Software, why: str) -> _Failed | None:
        pause, problem = UNDO_PAUSE, ""
        for number in range(UNDO_ROUNDS):
            if number:
                await workflow.sleep(pause)
                pause *= 2
            try:
                self._generation = await steps.fence(self._request.cell, self._request.id)
            except ActivityError as error:
                return _Failed(reason_of(error))
            await self._move(VisitPhase.UNDO, why)
            try:
                await self._deploy(spec, software)
            except ActivityError as error:
                problem = reason_of(error)
                continue
            return await self._sickness(spec)
        return _Failed(problem)

    async def _sickness(self, spec: CellSpec) -> _Failed | None:
        try:
            await self._verify(spec)
        except ActivityError as error:
            return _Failed(reason_of(error))
        except _Sick as sick:
            return _Failed(str(sick))
        return None

    async def _deploy(self, spec: CellSpec, software: Software) -> None:
        failed_before = self._silent_since
        self._silent_since = failed_before or workflow.now()
        self._wrote_with = self._generation
        deployed = await steps.deploy(self._request.cell, spec, software, self._generation)
        self._gap = max(self._gap, deployed.gap)
        if failed_before is not None:
            # Since when the server has been away is known to nobody: at the longest, since then.
            self._gap = max(self._gap, workflow.now() - failed_before)
        self._silent_since = None

    async def _verify(self, spec: CellSpec) -> None:
        verification = await steps.verify(self._request.cell, spec, self._request.rules)
        if verification.problems:
            raise _Sick("; ".join(verification.problems))

    async def _attempt(self, step: Callable[[], Awaitable[T]]) -> T | _Failed:
        """Take a step that is cut short, where it can be, when the visit is asked to stop."""
        if self._stopping:
            return _Failed(STOPPED)
        under_way = asyncio.ensure_future(step())
        self._under_way = under_way
        try:
            return await under_way
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return _Failed(STOPPED)
        except FailureError as error:
            return _Failed(STOPPED if is_cancelled_exception(error) else reason_of(error))
        except _Sick as sick:
            return _Failed(str(sick))
        finally:
            self._under_way = None

    def _heed_stop(self) -> None:
        """Go no further: what ended before it heard that it should was not cut short."""
        if self._stopping:
            raise asyncio.CancelledError

    async def _move(self, phase: VisitPhase, message: str) -> None:
        """Let the cell show what is done to it."""
        cell = workflow.get_external_workflow_handle_for(
            CellWorkflow.run, cell_workflow_id(self._request.cell)
        )
        with contextlib.suppress(ApplicationError):  # There is nobody to show it.
            await cell.signal(
                CellWorkflow.visit_moved, VisitMoved(self._request.id, phase, message)
            )

    async def _report(self, ending: _Ending) -> VisitReport:
        request = self._request
        report = VisitReport(
            visit=request.id,
            cell=request.cell,
            outcome=ending.outcome,
            generation=self._wrote_with,
            software=ending.software,
            message=ending.message,
            began_at=self._began_at,
            ended_at=workflow.now(),
            gap=self._gap,
        )
        if request.report_to:
            asker = workflow.get_external_workflow_handle(request.report_to)
            with contextlib.suppress(ApplicationError):  # It does not wait for it any more.
                await asker.signal(VISIT_ENDED, report)
        return report


def _asked_by(request: VisitRequest) -> str:
    parent = workflow.info().parent
    return request.report_to or (parent.workflow_id if parent else "")
