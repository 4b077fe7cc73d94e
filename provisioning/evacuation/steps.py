"""How patient each step of an evacuation is, seen from inside its workflow."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from cells.ledger.types import GiveBack
from provisioning.evacuation.activities import (
    FOLLOW_FOR,
    CordonFor,
    EvacuationActivities,
    LeaseAsked,
    LeaseTaken,
    MoveAsked,
    MoveTaken,
    WishTold,
)
from provisioning.evacuation.facts import MoveFacts, Survey
from provisioning.evacuation.following import Followed
from provisioning.evacuation.surveyor import Looking
from provisioning.evacuation.types import EvacuationView

KEEP_TRYING = RetryPolicy(maximum_interval=timedelta(seconds=30))
ASK_AGAIN = RetryPolicy(maximum_attempts=3, maximum_interval=timedelta(seconds=5))
"""So that who waits for it hears soon that the world does not answer, and asks anew."""
UNCORDON_FOR = timedelta(minutes=10)
_HEARTBEAT = timedelta(seconds=5)
"""A worker that is silent for longer is dead, and its step begun again by another."""


async def survey(looking: Looking) -> Survey:
    return await workflow.execute_activity_method(
        EvacuationActivities.survey_cell, looking, **_config(timedelta(minutes=1), ASK_AGAIN)
    )


async def cordon(cordoning: CordonFor) -> bool:
    return await workflow.execute_activity_method(
        EvacuationActivities.cordon_for_evacuation, cordoning, **_config(retry=ASK_AGAIN)
    )


async def uncordon(cordoning: CordonFor) -> bool:
    """Take the cordon away, unless there is nobody left for long who could."""
    config = _config()
    config["schedule_to_close_timeout"] = UNCORDON_FOR
    return await workflow.execute_activity_method(
        EvacuationActivities.uncordon_after_evacuation, cordoning, **config
    )


async def take_lease(asked: LeaseAsked) -> LeaseTaken:
    return await workflow.execute_activity_method(
        EvacuationActivities.take_evacuation_lease,
        asked,
        **_config(timedelta(minutes=1), ASK_AGAIN),
    )


async def give_back_lease(request: GiveBack) -> None:
    await workflow.execute_activity_method(
        EvacuationActivities.give_back_evacuation_lease, request, **_config()
    )


async def begin_move(asked: MoveAsked) -> MoveTaken:
    return await workflow.execute_activity_method(
        EvacuationActivities.begin_move, asked, **_config(summary=asked.namespace)
    )


async def follow_move(followed: Followed) -> MoveFacts:
    return await workflow.execute_activity_method(
        EvacuationActivities.follow_move,
        followed,
        **_config(FOLLOW_FOR * 3, summary=followed.namespace),
    )


async def tell_wish(told: WishTold) -> None:
    await workflow.execute_activity_method(
        EvacuationActivities.tell_wish, told, **_config(summary=told.namespace)
    )


async def publish(view: EvacuationView, retry: RetryPolicy) -> None:
    await workflow.execute_activity_method(
        EvacuationActivities.publish_evacuation, view, **_config(retry=retry)
    )


def _config(
    at_most: timedelta = timedelta(seconds=20),
    retry: RetryPolicy = KEEP_TRYING,
    summary: str | None = None,
) -> ActivityConfig:
    return ActivityConfig(
        start_to_close_timeout=at_most,
        heartbeat_timeout=_HEARTBEAT,
        retry_policy=retry,
        summary=summary,
    )
