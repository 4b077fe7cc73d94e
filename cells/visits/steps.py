"""How patient each step of a visit is, seen from inside its workflow."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from cells.release import SchemaStep, Software
from cells.runtime.ports import Deployed
from cells.types import CellSpec
from cells.visits.activities import (
    BeginAt,
    Begun,
    DeploySoftware,
    EndAt,
    FenceAt,
    InspectCell,
    Inspection,
    MigrateSchema,
    Verification,
    VerifyCell,
    VisitActivities,
)
from cells.visits.types import BeginVisit, EndVisit, VisitRequest, VisitRules

HEARTBEAT = timedelta(seconds=5)
"""A worker that is silent for longer is dead, and its step begun again by another. Short also
because a step hears that it is to stop when it has sent one."""
# The cell's entity is in the engine, as the visit is: without it there is nothing to go on with.
OF_THE_ENTITY = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=5)),
)
# Nothing was touched yet: a cell that cannot be looked at now is visited another time.
OF_AN_INSPECTION = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(maximum_attempts=4),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
# By attempts and not by time: while no worker runs, nothing is tried, and nothing is given up.
OF_THE_WORLD = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(minutes=1),
    maximum_attempts=15,
)
MIGRATION_TIMEOUT = timedelta(hours=12)
"""A large visibility store has taken two hours for one version."""
DEPLOYMENT_TIMEOUT = timedelta(hours=1)
LAST_LOOK = timedelta(minutes=2)
"""What an examination may take that begins just before the end of a verification."""


async def begin(cell: str, request: BeginVisit) -> Begun:
    """Have the cell to itself; raise its refusal."""
    return await workflow.execute_activity_method(
        VisitActivities.begin_visit, BeginAt(cell, request), **OF_THE_ENTITY
    )


async def inspect(request: VisitRequest, spec: CellSpec) -> Inspection:
    return await workflow.execute_activity_method(
        VisitActivities.inspect_cell,
        InspectCell(request.cell, spec, request.release),
        **OF_AN_INSPECTION,
    )


async def migrate_schema(
    cell: str, spec: CellSpec, steps: tuple[SchemaStep, ...], generation: int
) -> None:
    await workflow.execute_activity_method(
        VisitActivities.migrate_schema,
        MigrateSchema(cell, spec, steps, generation),
        **_of_the_world(MIGRATION_TIMEOUT, f"generation {generation}"),
    )


async def deploy(cell: str, spec: CellSpec, software: Software, generation: int) -> Deployed:
    return await workflow.execute_activity_method(
        VisitActivities.deploy_software,
        DeploySoftware(cell, spec, software, generation),
        **_of_the_world(DEPLOYMENT_TIMEOUT, f"{software.server_version}, generation {generation}"),
    )


async def verify(cell: str, spec: CellSpec, rules: VisitRules) -> Verification:
    return await workflow.execute_activity_method(
        VisitActivities.verify_cell,
        VerifyCell(cell, spec, rules),
        **_of_the_world(rules.healthy_within + rules.verify_for + LAST_LOOK, "until it is well"),
    )


async def fence(cell: str, visit: str) -> int:
    return await workflow.execute_activity_method(
        VisitActivities.fence_visit, FenceAt(cell, visit), **OF_THE_ENTITY
    )


async def end(cell: str, request: EndVisit) -> None:
    await workflow.execute_activity_method(
        VisitActivities.end_visit, EndAt(cell, request), **OF_THE_ENTITY
    )


def _of_the_world(at_most: timedelta, summary: str) -> ActivityConfig:
    """Return how a step is taken that may find the cell out of reach, each time for `at_most`."""
    return ActivityConfig(
        start_to_close_timeout=at_most,
        summary=summary,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=OF_THE_WORLD,
        # So that an undo never overtakes what it undoes.
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
