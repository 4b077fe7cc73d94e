"""The life of a cell in a cloud, from the request for it to its tombstone."""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ContinueAsNewVersioningBehavior

from cells.life import plan, record, requests, steps
from cells.life.plan import Build, Dismantle, Errand, Rest, Step
from cells.life.types import (
    CreateCell,
    Layer,
    LayerTold,
    LifeCommand,
    LifeCommandKind,
    LifeState,
    LifeView,
)
from cells.life.view import view
from cells.visits.failures import reason_of
from controlplane.errors import already_exists, failed_precondition

PUBLISH_EVERY = timedelta(seconds=1)
"""At most: what is told faster than that is told at once."""


@workflow.defn
class CellLifeWorkflow:
    """Builds a cell layer by layer, and takes it down again in reverse.

    Handlers only record; `run` takes the one step that the plan says is next. Its end is the cell's
    tombstone: the engine starts no other life under the same name.
    """

    @workflow.init
    def __init__(self, state: LifeState) -> None:
        self._state = state
        self._under_way: Layer | None = None
        self._refusals: dict[str, str] = {}
        """By operation: why a decommission may not begin."""
        self._published_revision = -1
        self._is_publishing = False

    @workflow.run
    async def run(self, _: LifeState) -> LifeView:
        publishing = asyncio.create_task(self._keep_publishing())
        while not self._state.phase.is_over:
            if publishing.done():
                publishing.result()  # An error is a bug: it stops the workflow until a fix ships.
            if self._should_roll_over() and await self._is_free():
                workflow.continue_as_new(
                    self._state,
                    initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
                )
            await self._take(plan.next_step(self._state, workflow.now()))
        await publishing
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._view()

    @workflow.update
    def create(self, request: CreateCell) -> LifeView:  # noqa: ARG002 - its validator's
        """Return the life as it is: asked for again, it is not begun again."""
        return self._view()

    @create.validator
    def _check_create(self, request: CreateCell) -> None:
        if conflict := requests.conflict(self._state, request):
            raise already_exists(conflict)

    @workflow.update
    async def command(self, command: LifeCommand) -> LifeView:
        """Record what a person wants; a decommission is answered once the fleet was asked."""
        state = self._state
        if requests.is_taken(state, command):
            return self._view()
        if command.kind is LifeCommandKind.DECOMMISSION:
            await self._answer_to(command)
        else:
            requests.take(state, command, workflow.now())
        return self._view()

    @command.validator
    def _check_command(self, command: LifeCommand) -> None:
        state = self._state
        if reused := requests.reused(state, command):
            raise already_exists(reused)
        if not requests.is_taken(state, command) and (refusal := requests.refusal(state, command)):
            raise failed_precondition(refusal)

    @workflow.signal
    def tell(self, told: LayerTold) -> None:
        """Take note of what is being done; what comes late says nothing of what is done now."""
        if told.layer is self._under_way:
            record.told(self._state, told.layer, told.text, workflow.now())

    @workflow.update
    def describe(self) -> LifeView:
        return self._view()

    async def _answer_to(self, command: LifeCommand) -> None:
        """Wait for `run` to have asked the fleet; raise its refusal."""
        state = self._state
        if state.asked is None:
            state.asked = command
            self._refusals.pop(command.operation, None)
        await workflow.wait_condition(lambda: state.asked != command)
        if refusal := self._refusals.get(command.operation):
            raise failed_precondition(refusal)

    async def _take(self, step: Step) -> None:
        match step:
            case Build():
                await self._build(step)
            case Dismantle(layer):
                await self._dismantle(layer)
            case Errand.ANSWER:
                await self._answer()
            case Errand.CORDON | Errand.COUNT | Errand.REOPEN:
                await self._ask_fleet(step)
            case Rest():
                await self._rest(step)

    async def _build(self, step: Build) -> None:
        state, layer = self._state, step.layer
        record.begun(state, layer, workflow.now())
        self._under_way = layer
        building = asyncio.ensure_future(self._look_or_build(layer))
        await workflow.wait_condition(lambda: building.done() or plan.is_pointless(step, state))
        building.cancel()  # It may have been asked to go meanwhile; what is done is not undone.
        try:
            await building
        except asyncio.CancelledError:
            if not plan.is_pointless(step, state):
                raise
        except ActivityError as error:
            if not is_cancelled_exception(error):
                record.failed(state, layer, reason_of(error), workflow.now())
        finally:
            self._under_way = None

    async def _look_or_build(self, layer: Layer) -> None:
        state = self._state
        if layer is Layer.PREFLIGHT and (obstacles := await steps.obstacles(state)):
            record.hindered(state, obstacles, workflow.now())
        else:
            record.built(state, layer, await steps.build(layer, state), workflow.now())

    async def _dismantle(self, layer: Layer) -> None:
        state = self._state
        record.resumed(state, workflow.now())
        self._under_way = layer
        try:
            leftovers = await steps.dismantle(layer, state)
        except ActivityError as error:
            record.not_dismantled(state, layer, reason_of(error), workflow.now())
        else:
            if leftovers:
                record.left_over(state, leftovers, workflow.now())
            else:
                record.dismantled(state, layer, workflow.now())
        finally:
            self._under_way = None

    async def _answer(self) -> None:
        """Let a decommission begin, unless namespaces live there that nobody wants moved."""
        state = self._state
        command = state.asked
        assert command is not None, "the plan answers what was asked"
        try:
            residents = await steps.residents(state, steps.AT_ONCE)
        except ActivityError as error:
            refusal = f"who lives there cannot be found out: {reason_of(error)}. Ask again later"
        else:
            refusal = requests.refusal_for(residents, command)
        if refusal:
            self._refusals[command.operation] = refusal
            state.asked = None
        else:
            requests.take(state, command, workflow.now())

    async def _ask_fleet(self, errand: Errand) -> None:
        state = self._state
        record.resumed(state, workflow.now())
        try:
            match errand:
                case Errand.CORDON:
                    await steps.cordon(state)
                    record.cordoned(state, workflow.now())
                case Errand.REOPEN:
                    await steps.reopen(state)
                    record.reopened(state, workflow.now())
                case _:
                    residents = await steps.residents(state, steps.OF_THE_FLEET)
                    record.counted(state, residents, workflow.now())
        except ActivityError as error:
            record.unanswered(state, reason_of(error), workflow.now())

    async def _rest(self, rest: Rest) -> None:
        """Return when there is something to do, or the run is to end."""
        timeout = None if rest.until is None else rest.until - workflow.now()
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: (
                    plan.next_step(self._state, workflow.now()) != rest
                    or (self._should_roll_over() and workflow.all_handlers_finished())
                ),
                timeout=timeout,
            )

    async def _keep_publishing(self) -> None:
        """Publish what changes, until the tombstone is."""
        state = self._state
        while not (state.phase.is_over and self._published_revision == state.revision):
            await workflow.wait_condition(lambda: state.revision != self._published_revision)
            self._is_publishing = True
            shown = self._view()
            await steps.publish(shown)
            self._published_revision = shown.revision
            self._is_publishing = False
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(lambda: state.phase.is_over, timeout=PUBLISH_EVERY)

    async def _is_free(self) -> bool:
        """Return whether the run may end: nobody waits for an answer, nothing is being published.

        What is being published is waited for: to cancel it would get lost where it has just ended.
        """
        await workflow.wait_condition(lambda: not self._is_publishing)
        return workflow.all_handlers_finished()

    def _view(self) -> LifeView:
        return view(self._state, workflow.now())

    def _should_roll_over(self) -> bool:
        # A run is pinned to the code it began on, so new code needs a new run.
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
        )
