"""The life of the disruption ledger, of which there is one per fleet."""

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.workflow import ContinueAsNewVersioningBehavior

from cells.ledger.activities import LedgerActivities
from cells.ledger.book import Book
from cells.ledger.plan import check_acquire, check_fence, decide, lease_for, remembered, to_strike
from cells.ledger.types import (
    Acquire,
    Answer,
    Fence,
    Fenced,
    GiveBack,
    Lease,
    LeaseView,
    LedgerState,
    LedgerView,
)
from controlplane.errors import invalid_argument

PUBLISH_AFTER = timedelta(milliseconds=200)
"""Changes come in bursts: one publication says them all, and nobody's answer waits for it."""
PUBLISH_TIMEOUT = timedelta(seconds=5)
PUBLISH_FOR = timedelta(seconds=30)
"""After that the run looks up: while nothing can be published it still has to roll over."""
PUBLISH_RETRY = RetryPolicy(maximum_interval=timedelta(seconds=5))
STIR_EVERY = timedelta(seconds=30)
"""A run is pinned to the version of the worker that it began on, and learns of a newer one when it
wakes up. Asleep until the next question, it might find nobody left who can answer it."""


@workflow.defn
class LedgerWorkflow:
    """Knows who may disturb which cell. Handlers alone decide, one at a time: `run` only tells."""

    @workflow.init
    def __init__(self, state: LedgerState) -> None:
        self._state = state
        if state.revision == 0:
            # Above all numbers of a ledger that there was before, had that one to be given up: or
            # its last view would never be replaced, and late calls might mean leases of this one.
            state.revision = int(workflow.now().timestamp() * 1000)
        self._book = Book(state.leases)
        self._published_revision = 0

    @workflow.run
    async def run(self, _: LedgerState) -> None:
        while not self._should_roll_over():
            if self._state.revision != self._published_revision:
                await workflow.sleep(PUBLISH_AFTER)
                await self._publish()
            await self._wait_for_change()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            self._state, initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE
        )

    @workflow.update
    def acquire(self, asked: Acquire) -> Answer:
        """Give the holder a lease of the cell, or say who is in the way.

        A holder that has it is given it again, changed to what is asked for now if nobody is in the
        way of that; else it keeps what it has.
        """
        answer = decide(self._book, asked)
        if not answer.granted:
            return answer
        lease = lease_for(self._book, asked, workflow.now(), number=self._state.revision + 1)
        if lease != self._book.at(asked.cell):
            self._book.enter(lease)
            self._state.revision += 1
        return Answer(lease=lease.number)

    @acquire.validator
    def _check_acquire(self, asked: Acquire) -> None:
        try:
            check_acquire(asked)
        except ValueError as error:
            raise invalid_argument(str(error)) from None

    @workflow.update
    def give_back(self, request: GiveBack) -> None:
        """End the holder's lease; one that it does not have changes nothing."""
        lease = to_strike(self._book, request)
        if lease is not None:
            self._book.strike(lease.cell)
            self._state.revision += 1

    @workflow.update
    def fence(self, request: Fence) -> Fenced | None:
        """Take a lease away, and remember who did and why; return None where there was none."""
        lease = to_strike(self._book, request)
        if lease is None:
            return None
        fenced = Fenced(
            cell=lease.cell,
            holder=lease.holder,
            by=request.by,
            reason=request.reason,
            at=workflow.now(),
            held_since=lease.since,
        )
        self._book.strike(lease.cell)
        self._state.fenced = remembered(self._state.fenced, fenced)
        self._state.revision += 1
        return fenced

    @fence.validator
    def _check_fence(self, request: Fence) -> None:
        try:
            check_fence(request)
        except ValueError as error:
            raise invalid_argument(str(error)) from None

    # No queries: cells/workflow.py says why.

    @workflow.update
    def leases(self) -> dict[str, Lease]:
        """Return the leases in force, by cell."""
        return self._state.leases

    def _view(self) -> LedgerView:
        state = self._state
        return LedgerView(
            revision=state.revision,
            leases=tuple(
                LeaseView(
                    cell=lease.cell,
                    holder=lease.holder,
                    purpose=lease.purpose,
                    since=lease.since,
                    number=lease.number,
                    namespaces=len(lease.namespaces),
                    scopes=lease.scopes,
                    components=lease.components,
                )
                for _, lease in sorted(state.leases.items())
            ),
            fenced=tuple(state.fenced),
        )

    async def _publish(self) -> None:
        view = self._view()
        with contextlib.suppress(ActivityError):
            await workflow.execute_activity_method(
                LedgerActivities.publish_ledger,
                view,
                start_to_close_timeout=PUBLISH_TIMEOUT,
                schedule_to_close_timeout=PUBLISH_FOR,
                retry_policy=PUBLISH_RETRY,
            )
            self._published_revision = view.revision

    async def _wait_for_change(self) -> None:
        pinned = workflow.info().get_current_deployment_version() is not None
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: (
                    self._state.revision != self._published_revision or self._should_roll_over()
                ),
                timeout=STIR_EVERY if pinned else None,
            )

    def _should_roll_over(self) -> bool:
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
        )
