"""One round of steps, taken or undone side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import FailureError

from provisioning import journal
from provisioning.failures import is_permanent, message_of
from provisioning.journal import Failure, Journal
from provisioning.types import Step, StepState

PROGRESS_AFTER = timedelta(milliseconds=500)
"""How long patient steps may take before how far they are is shown."""

Action = Callable[[Step], Awaitable[None]]


async def run_round(
    log: Journal,
    operations: Sequence[str],
    due: Sequence[Step],
    states: tuple[StepState, StepState],
    action: Action,
    *,
    is_cut_short: Callable[[], bool],
    show_progress: Callable[[], Coroutine[None, None, None]] | None,
) -> list[Failure]:
    """Run `action` on each step and return what failed.

    The operations say how each step stands: the first of `states` while it is under way, the second
    once it succeeded. What is cut short is cancelled, and waited for.

    Without `show_progress` no timer runs beside the steps. Where all of them are local activities
    none may: a worker that prolongs its task just when the last one ends records the timer, while
    a replay finds them ended at once and starts none.
    """
    during, after = states
    for step in due:
        log.note(operations, partial(journal.began, step=step, state=during, now=workflow.now()))
    log.touch()
    attempts = [asyncio.create_task(_attempt(log, operations, step, after, action)) for step in due]

    def is_over() -> bool:
        return all(attempt.done() for attempt in attempts) or is_cut_short()

    if show_progress is None:
        await workflow.wait_condition(is_over)
    else:
        try:
            await workflow.wait_condition(is_over, timeout=PROGRESS_AFTER)
        except TimeoutError:
            # Only now is there somebody who wonders: a publication a step would be half the work.
            progress = asyncio.create_task(show_progress())
            await workflow.wait_condition(is_over)
            await progress
    for attempt in attempts:
        attempt.cancel()
    failures = await asyncio.gather(*attempts)
    log.touch()
    return [failure for failure in failures if failure is not None]


async def _attempt(
    log: Journal, operations: Sequence[str], step: Step, after: StepState, action: Action
) -> Failure | None:
    state, failure = after, None
    try:
        await action(step)
    except FailureError as error:
        failure = Failure(step, message_of(error), is_permanent(error))
        state = StepState.FAILED
    except asyncio.CancelledError:
        failure = Failure(step, "cut short", is_permanent=False)
        state = StepState.FAILED
    message = "" if failure is None else failure.message
    log.note(
        operations,
        partial(journal.ended, step=step, state=state, now=workflow.now(), message=message),
    )
    return failure
