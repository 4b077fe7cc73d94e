"""The stand-in for a visit: it takes its time, and reports."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from cells.visits.types import VisitOutcome, VisitReport, VisitRequest
from rollout.simulation.world import Course, SimulatedFleet

_SHORT = timedelta(seconds=30)


@dataclass(frozen=True)
class EndOfVisit:
    request: VisitRequest
    outcome: VisitOutcome


@dataclass(frozen=True)
class SimulatedVisits:
    """The visits of every run: each belongs to the rollout that it reports to."""

    fleets: dict[str, SimulatedFleet]
    """By workflow id of the rollout."""

    @activity.defn
    async def begin_simulated_visit(self, request: VisitRequest) -> Course:
        return self.fleets[request.report_to].begin(request)

    @activity.defn
    async def end_simulated_visit(self, end: EndOfVisit) -> None:
        self.fleets[end.request.report_to].end(end.request, end.outcome)


@workflow.defn(name="CellVisitWorkflow")
class SimulatedVisit:
    """Takes the place of `cells.visits.workflow.CellVisitWorkflow` in a simulation's worker."""

    @workflow.run
    async def run(self, request: VisitRequest) -> VisitReport:
        began = workflow.now()
        course = await workflow.execute_activity_method(
            SimulatedVisits.begin_simulated_visit, request, start_to_close_timeout=_SHORT
        )
        await workflow.sleep(course.takes)
        await workflow.execute_activity_method(
            SimulatedVisits.end_simulated_visit,
            EndOfVisit(request, course.outcome),
            start_to_close_timeout=_SHORT,
        )
        report = VisitReport(
            visit=request.id,
            cell=request.cell,
            outcome=course.outcome,
            generation=1,
            software=None,
            message="simulated",
            began_at=began,
            ended_at=workflow.now(),
            gap=timedelta(seconds=1),
        )
        rollout = workflow.get_external_workflow_handle(request.report_to)
        try:
            await rollout.signal("visit_ended", report)
        except ApplicationError:
            # The rollout has ended meanwhile.
            workflow.logger.info("nobody hears of visit %s any more", request.id)
        return report
