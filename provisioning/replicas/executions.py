"""The workflow executions that one cell holds of a namespace, whether it is active there or not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from provisioning.frontend import CALL
from provisioning.replicas.services import OWN_STATE, CellService

_PAGE = 1_000
_ANY_DIVISION = "(TemporalNamespaceDivision IS NULL OR TemporalNamespaceDivision IS NOT NULL)"
"""Schedules and worker deployments too, which a query that names no division leaves out."""
_PAUSE_WHEN_BUSY = 1.0  # Seconds.
_BUSY_AT_MOST = 60
"""How often in a row the service may say that it has too much to do."""
_OPEN = {Status.WORKFLOW_EXECUTION_STATUS_RUNNING, Status.WORKFLOW_EXECUTION_STATUS_PAUSED}
_PREFIX = "WORKFLOW_EXECUTION_STATUS_"

T = TypeVar("T")


@dataclass(frozen=True)
class Span:
    """A time in which executions began: from `since` on, before `until`."""

    since: datetime
    until: datetime

    def __contains__(self, time: datetime) -> bool:
        return self.since <= time < self.until

    @property
    def length(self) -> timedelta:
        return self.until - self.since

    def halves(self) -> tuple["Span", "Span"]:
        middle = self.since + self.length / 2
        return Span(self.since, middle), Span(middle, self.until)

    def widened(self, by: timedelta) -> "Span":
        return Span(self.since - by, self.until + by)


@dataclass
class Seen:
    """One execution as it was listed."""

    workflow_id: str
    run_id: str
    started_at: datetime
    status: str
    """The name of a WorkflowExecutionStatus, without its prefix."""
    is_open: bool
    events: int = 0
    """How long its history is; 0 when it was not measured."""

    def is_reached_by(self, other: "Seen | None") -> bool:
        """Tell whether the other side, looked at later, is as far as this one was."""
        if other is None:
            return False
        if self.is_open:
            return not other.is_open or other.events >= self.events
        return other.status == self.status


@dataclass(frozen=True)
class Executions:
    """What one cell itself holds: it is asked not to pass the question on."""

    service: CellService
    namespace: str

    async def count(self, span: Span) -> int:
        request = CountWorkflowExecutionsRequest(namespace=self.namespace, query=_query(span))
        answer = await _patiently(
            lambda: self.service.client.workflow_service.count_workflow_executions(
                request, metadata=OWN_STATE, timeout=CALL
            )
        )
        return answer.count

    async def within(self, span: Span) -> dict[str, Seen]:
        """Return all of a span, by run id."""
        found: dict[str, Seen] = {}
        request = ListWorkflowExecutionsRequest(
            namespace=self.namespace, page_size=_PAGE, query=_query(span)
        )
        while True:
            answer = await self._page(request)
            # One that ends between two pages may be listed twice, as it was and as it is.
            found.update({info.execution.run_id: _seen(info) for info in answer.executions})
            if not answer.next_page_token:
                return found
            request.next_page_token = answer.next_page_token

    async def measure(self, executions: Sequence[Seen], at_once: int) -> None:
        """Learn how long the histories are; of what is gone by now nothing is learnt."""
        slots = asyncio.Semaphore(at_once)

        async def measure(execution: Seen) -> None:
            async with slots:
                execution.events = await self._events(execution)

        await asyncio.gather(*(measure(execution) for execution in executions))

    async def running(self) -> AsyncIterator[WorkflowExecution]:
        """Yield all that run now."""
        request = ListWorkflowExecutionsRequest(
            namespace=self.namespace,
            page_size=_PAGE,
            query=f"{_ANY_DIVISION} AND ExecutionStatus = 'Running'",
        )
        while True:
            answer = await self._page(request)
            for info in answer.executions:
                yield info.execution
            if not answer.next_page_token:
                return
            request.next_page_token = answer.next_page_token

    async def describe(
        self, execution: WorkflowExecution
    ) -> DescribeWorkflowExecutionResponse | None:
        """Return what the cell knows of an execution; None when it is gone by now."""
        request = DescribeWorkflowExecutionRequest(namespace=self.namespace, execution=execution)
        try:
            return await _patiently(
                lambda: self.service.client.workflow_service.describe_workflow_execution(
                    request, metadata=OWN_STATE, timeout=CALL
                )
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def _events(self, seen: Seen) -> int:
        execution = WorkflowExecution(workflow_id=seen.workflow_id, run_id=seen.run_id)
        described = await self.describe(execution)
        return 0 if described is None else described.workflow_execution_info.history_length

    async def _page(self, request: ListWorkflowExecutionsRequest) -> ListWorkflowExecutionsResponse:
        return await _patiently(
            lambda: self.service.client.workflow_service.list_workflow_executions(
                request, metadata=OWN_STATE, timeout=CALL
            )
        )


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call, and wait while the service is busy: a large namespace is not begun again for that."""
    for _ in range(_BUSY_AT_MOST):
        try:
            return await call()
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                raise
        await asyncio.sleep(_PAUSE_WHEN_BUSY)
    return await call()


def _query(span: Span) -> str:
    since, until = span.since.isoformat(), span.until.isoformat()
    return f"{_ANY_DIVISION} AND StartTime >= '{since}' AND StartTime < '{until}'"


def _seen(info: WorkflowExecutionInfo) -> Seen:
    return Seen(
        workflow_id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        started_at=info.start_time.ToDatetime(UTC),
        status=Status.Name(info.status).removeprefix(_PREFIX),
        is_open=info.status in _OPEN,
    )
