"""Beats: a workflow that is started in one cell and looked for in another, which pulls from it.

Silence is not health: where nothing happens, nothing is late. Each beat goes through a history
shard of its own, by its id; what one shard alone does not replicate is found by metrics.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.replication.v1 import ClusterReplicationConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    ListWorkflowExecutionsRequest,
    RegisterNamespaceRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from controlplane.ids import namespace_id

_ACCOUNT = "control-plane"  # It has a hyphen (`ids.ACCOUNT_ID`): it can be no tenant's.
_RETENTION = Duration(seconds=86_400)  # The least there is for namespaces with replicas.
_CALL = timedelta(seconds=3)
_LOOK_EVERY_SECONDS = 0.1
# Nobody works on it, and while it is delayed no task waits for somebody who would.
_DELAY, _TIMEOUT = Duration(seconds=3_600), Duration(seconds=60)
_OWN_STATE = {"xdc-redirection": "false"}
"""With it a service answers for itself, and does not ask the one where the namespace is active."""


@dataclass(frozen=True)
class Beaten:
    """What became of a beat."""

    lag: timedelta | None
    """How long it took; when it did not arrive, how long ago the latest one that did was sent."""
    problem: str = ""


@dataclass(frozen=True)
class Way:
    """From one cell to another that pulls from it."""

    source: str
    there: Client
    puller: str
    here: Client

    @property
    def namespace(self) -> str:
        """The namespace of the beats that go this way: active in the source, for ever."""
        return namespace_id(f"beat-{self.source}-to-{self.puller}", _ACCOUNT)

    async def beat(self, names: tuple[str, str], within: timedelta) -> Beaten:
        """Send a beat and wait until it arrives, or is late.

        `names` are what the source's service calls itself and the puller.
        """
        beat = f"beat-{uuid4().hex}"
        attempt = _Attempt(self, beat, names)
        try:
            async with asyncio.timeout(within.total_seconds()):
                await attempt.send()
                await attempt.arrive()
                return Beaten(datetime.now(UTC) - attempt.sent_at)
        except TimeoutError:
            return Beaten(await self.since_latest(), attempt.problem)
        finally:
            with contextlib.suppress(RPCError, RuntimeError):
                await self._end(beat)

    async def start(self, beat: str) -> None:
        await self.there.workflow_service.start_workflow_execution(
            StartWorkflowExecutionRequest(
                namespace=self.namespace,
                workflow_id=beat,
                workflow_type=WorkflowType(name="Beat"),
                task_queue=TaskQueue(name="beats"),
                workflow_start_delay=_DELAY,
                workflow_execution_timeout=_TIMEOUT,
                request_id=beat,
                identity="controlplane",
            ),
            timeout=_CALL,
        )

    async def has_arrived(self, beat: str) -> bool:
        try:
            await self.here.workflow_service.describe_workflow_execution(
                DescribeWorkflowExecutionRequest(
                    namespace=self.namespace, execution=WorkflowExecution(workflow_id=beat)
                ),
                metadata=_OWN_STATE,
                timeout=_CALL,
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def register(self, names: Sequence[str]) -> None:
        """Register the namespace in the source, with a replica in the puller."""
        try:
            await self.there.workflow_service.register_namespace(
                RegisterNamespaceRequest(
                    namespace=self.namespace,
                    description="Shows how soon what happens in one cell arrives in another.",
                    is_global_namespace=True,
                    workflow_execution_retention_period=_RETENTION,
                    active_cluster_name=names[0],
                    clusters=[ClusterReplicationConfig(cluster_name=name) for name in names],
                ),
                timeout=_CALL,
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise

    async def since_latest(self) -> timedelta | None:
        """Return how long ago the latest beat was sent that arrived; None when none is known."""
        try:
            found = await self.here.workflow_service.list_workflow_executions(
                ListWorkflowExecutionsRequest(namespace=self.namespace, page_size=1),
                metadata=_OWN_STATE,
                timeout=_CALL,
            )
        except (RPCError, RuntimeError):
            return None
        if not found.executions:
            return None
        return datetime.now(UTC) - found.executions[0].start_time.ToDatetime(UTC)

    async def _end(self, beat: str) -> None:
        await self.there.workflow_service.terminate_workflow_execution(
            TerminateWorkflowExecutionRequest(
                namespace=self.namespace, workflow_execution=WorkflowExecution(workflow_id=beat)
            ),
            timeout=_CALL,
        )


class _Attempt:
    """One beat on its way, and what it waits for."""

    def __init__(self, way: Way, beat: str, names: Sequence[str]) -> None:
        self._way = way
        self._beat = beat
        self._names = names
        self.sent_at = datetime.now(UTC)
        self.problem = ""

    async def send(self) -> None:
        """Start the beat; again and again, as a service needs a moment to know its namespaces."""
        way = self._way
        while True:
            self.sent_at = datetime.now(UTC)
            try:
                await way.start(self._beat)
                return
            except (RPCError, RuntimeError) as error:
                self.problem = f"cell {way.source} takes no beat: {error}"
                if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                    await self._register()
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def arrive(self) -> None:
        way = self._way
        sent = f"{self.sent_at:%H:%M:%S}"
        self.problem = (
            f"a beat of cell {way.source}, sent at {sent}, has not arrived in {way.puller}"
        )
        while True:
            try:
                if await way.has_arrived(self._beat):
                    return
            except (RPCError, RuntimeError) as error:
                self.problem = f"cell {way.puller} cannot be asked for a beat: {error}"
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def _register(self) -> None:
        try:
            await self._way.register(self._names)
        except (RPCError, RuntimeError) as error:
            self.problem = f"cell {self._way.source} has no namespace for beats: {error}"
