"""Carries each move of an evacuation from its beginning to its end."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from provisioning.evacuation import moves, outcomes, steps
from provisioning.evacuation.activities import MoveAsked, WishTold
from provisioning.evacuation.following import Followed
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import EvacuationState, Move
from provisioning.types import FailoverCause


class Carrier:
    """Has a task for each move under way: what one namespace does not answer holds back no other.

    A move that was written down before its worker died, or before the run that began it ended, is
    taken up where it is: asked for again it is the same operation, and so never done twice.
    """

    def __init__(self, state: EvacuationState, heard: Callable[[], None]) -> None:
        self._state = state
        self._heard = heard
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """What moves, and what is told, by the namespace."""
        self._putting_down = False

    def carry_on(self, tell: Collection[str]) -> None:
        """See to it that each move under way has its task, and that these namespaces are told what
        was decided about theirs."""
        for name, progress in sorted(self._state.namespaces.items()):
            move = progress.move
            if move is None:
                continue
            self._do(name, self._carry(name, move.operation))
            if name in tell:
                self._do(f"{name} {move.wish}", self._tell(name, move))

    async def put_down(self) -> None:
        """Leave every move to the next run."""
        self._putting_down = True
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _do(self, key: str, what: Coroutine[Any, Any, None]) -> None:
        running = self._tasks.get(key)
        if running is not None and not running.done():
            what.close()
            return
        if running is not None:
            running.result()  # An error is a bug: it stops the workflow until a fix ships.
        self._tasks[key] = asyncio.create_task(what)

    async def _carry(self, name: str, operation: str) -> None:
        """Begin a move unless the namespace has agreed to it before, and follow it to its end."""
        state = self._state
        try:
            move = self._move(name, operation)
            if move is not None and not move.revision:
                await self._begin(name, move)
            while not self._putting_down:
                move = self._move(name, operation)
                if move is None:
                    return
                uid = state.namespaces[name].uid
                facts = await steps.follow_move(Followed(name, uid, move))
                if moves.followed(state, facts, workflow.now()):
                    self._heard()
        except ActivityError as error:
            if not is_cancelled_exception(error):
                raise

    async def _begin(self, name: str, move: Move) -> None:
        state = self._state
        asked = MoveAsked(name, state.namespaces[name].uid, move, _cause(state), reason_of(state))
        taken = await steps.begin_move(asked)
        if taken.refused:
            moves.refused(state, name, taken.refused, workflow.now())
        else:
            moves.agreed(state, name, taken.revision, workflow.now())
        self._heard()

    async def _tell(self, name: str, move: Move) -> None:
        assert move.wish is not None, "only what was decided is told"
        try:
            await steps.tell_wish(WishTold(name, move, reason_of(self._state)))
        except ActivityError as error:
            if not is_cancelled_exception(error):
                raise
        else:
            outcomes.told(self._state, name, move.wish)
            self._heard()

    def _move(self, name: str, operation: str) -> Move | None:
        """Return the move while it is under way."""
        move = self._state.namespaces[name].move
        return move if move is not None and move.operation == operation else None


def reason_of(state: EvacuationState) -> str:
    """Return why namespaces are moved, for those who read of it elsewhere."""
    return f"{state.kind.value} of {state.cell} ({state.id}), {state.actor}: {state.reason}"


def _cause(state: EvacuationState) -> FailoverCause:
    is_drill = state.kind is EvacuationKind.DRILL
    return FailoverCause.DRILL if is_drill else FailoverCause.EVACUATION
