"""Namespaces through their client: a real engine, a real worker, a world in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from cells.types import Capacity
from controlplane.errors import rejected
from provisioning import workflow
from provisioning.memory import MemoryWorld
from provisioning.plan import RENEW_BEFORE, ROTATE_EVERY
from provisioning.types import (
    CreateNamespace,
    DeleteNamespace,
    NamespaceLife,
    NamespaceView,
    OperationState,
    Step,
)
from tests.engine import (
    CELL,
    Entities,
    cell_spec,
    cell_view,
    namespace_spec,
    with_capacity,
    working,
)
from tests.eventually import eventually

NAME = "orders.acme1"
STEPS_IN_A_CELL = [step for step in Step if step != Step.SELECT_CELL]


async def test_a_new_namespace_becomes_active_step_by_step(entities: Entities) -> None:
    accepted = await _create(entities)
    assert accepted.life == NamespaceLife.ACTIVATING

    view = await _finished(entities, "op1")

    assert view.life == NamespaceLife.ACTIVE
    assert view.cell == CELL
    assert view.conditions["Ready"].status == "True"
    taken = [step for step, _ in entities.world.taken]
    assert taken[0] == Step.SELECT_CELL
    assert taken[-3:] == [Step.ADMIT, Step.PUBLISH_DNS, Step.PROVE]
    operation = view.operations[-1]
    assert {(s.step, s.state.value) for s in operation.steps} == {(step, "done") for step in Step}
    assert all(s.finished_at and s.started_at <= s.finished_at for s in operation.steps)


async def test_the_same_operation_again_is_the_same_creation(entities: Entities) -> None:
    first = await _create(entities)
    await _finished(entities, "op1")
    again = await _create(entities)

    assert again.uid == first.uid
    assert len(again.operations) == 1
    assert [step for step, _ in entities.world.taken].count(Step.SELECT_CELL) == 1


async def test_another_creation_of_the_same_name_is_refused(entities: Entities) -> None:
    await _create(entities)

    with pytest.raises(ApplicationError, match="exists already") as refused:
        await entities.namespaces.create(NAME, CreateNamespace("op2", namespace_spec()))

    assert refused.value.type == "AlreadyExists"


@pytest.mark.parametrize("step", Step)
async def test_a_step_that_fails_for_good_leaves_nothing_behind(
    entities: Entities, step: Step
) -> None:
    entities.world.faults[step] = [rejected("the quota is used up")]

    await _create(entities)
    view = await _finished(entities, "op1")

    operation = view.operations[-1]
    assert operation.state == OperationState.FAILED
    assert f"{step}: the quota is used up" in operation.failure_reason
    assert "create the namespace again" in operation.failure_reason
    assert view.life == NamespaceLife.DELETED
    assert entities.world.is_empty_of(NAME)
    await entities.namespaces.handle(NAME).result()


@pytest.mark.parametrize("step", Step)
async def test_a_step_that_fails_for_now_is_taken_again(entities: Entities, step: Step) -> None:
    entities.world.faults[step] = [ConnectionError("reset by peer")] * 4

    await _create(entities)
    view = await _finished(entities, "op1")

    assert view.life == NamespaceLife.ACTIVE
    assert view.operations[-1].state == OperationState.FULFILLED


async def test_a_failed_creation_gives_its_name_free(entities: Entities) -> None:
    entities.world.faults[Step.PROVE] = [rejected("no canary sang")]
    await _create(entities)
    await _finished(entities, "op1")
    await entities.namespaces.handle(NAME).result()

    await entities.namespaces.create(NAME, CreateNamespace("op2", namespace_spec()))

    assert (await _finished(entities, "op2")).life == NamespaceLife.ACTIVE


async def test_a_creation_is_given_up_when_trying_again_does_not_help(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    async with working(engine_in_skipped_time.client) as entities:
        entities.world.faults[Step.PROVE] = [ConnectionError("connection refused")] * 1000
        await _create(entities)

        await engine_in_skipped_time.sleep(timedelta(minutes=10))

        view = await _finished(entities, "op1")
    assert view.operations[-1].state == OperationState.FAILED
    assert "connection refused" in view.operations[-1].failure_reason
    assert entities.world.is_empty_of(NAME)


async def test_a_failed_step_shows_why_while_it_is_tried_again(entities: Entities) -> None:
    entities.world.faults[Step.REGISTER] = [ConnectionError("connection refused")] * 6

    async def shown() -> bool:
        view = entities.world.views.get(NAME)
        return view is not None and any(
            s.step == Step.REGISTER and s.message == "connection refused"
            for s in view.operations[-1].steps
        )

    await _create(entities)
    await eventually(shown)
    await _finished(entities, "op1")


async def test_deletion_leaves_nothing_and_ends_the_entity(entities: Entities) -> None:
    await _create(entities)
    created = await _finished(entities, "op1")

    await entities.namespaces.delete(NAME, DeleteNamespace("op2", created.resource_version))
    view = await _finished(entities, "op2")

    assert view.life == NamespaceLife.DELETED
    assert view.operations[-1].state == OperationState.FULFILLED
    assert entities.world.is_empty_of(NAME)
    await entities.namespaces.handle(NAME).result()


async def test_a_stale_version_may_not_delete(entities: Entities) -> None:
    await _create(entities)
    await _finished(entities, "op1")

    with pytest.raises(ApplicationError, match="read it again") as refused:
        await entities.namespaces.delete(NAME, DeleteNamespace("op2", "older-1"))

    assert refused.value.type == "FailedPrecondition"


async def test_delete_protection_protects(entities: Entities) -> None:
    protected = replace(namespace_spec(), delete_protection=True)
    await entities.namespaces.create(NAME, CreateNamespace("op1", protected))
    await _finished(entities, "op1")

    with pytest.raises(ApplicationError, match="delete protection"):
        await entities.namespaces.delete(NAME, DeleteNamespace("op2", ""))


async def test_deleting_what_is_not_there_says_so(entities: Entities) -> None:
    with pytest.raises(ApplicationError, match="not found") as refused:
        await entities.namespaces.delete(NAME, DeleteNamespace("op1", ""))

    assert refused.value.type == "NotFound"


async def test_deletion_cuts_a_creation_short_and_leaves_nothing(entities: Entities) -> None:
    entities.world.faults[Step.PUBLISH_DNS] = [ConnectionError("no route to host")] * 1000
    await _create(entities)

    async def stuck() -> bool:
        return (Step.PUBLISH_DNS, f"{NAME}.fleet.test") in entities.world.taken

    await eventually(stuck)
    await entities.namespaces.delete(NAME, DeleteNamespace("op2", ""))
    view = await _finished(entities, "op2")

    assert [op.state for op in view.operations] == ["CANCELLED", "FULFILLED"]
    assert entities.world.is_empty_of(NAME)


@pytest.mark.parametrize("step", [s for s in STEPS_IN_A_CELL if s != Step.PROVE])
async def test_an_undo_that_fails_is_tried_until_it_succeeds(
    entities: Entities, step: Step
) -> None:
    await _create(entities)
    await _finished(entities, "op1")
    entities.world.undo_faults[step] = [rejected("locked")] * 2

    await entities.namespaces.delete(NAME, DeleteNamespace("op2", ""))
    view = await _finished(entities, "op2")

    assert view.operations[-1].state == OperationState.FULFILLED
    assert entities.world.is_empty_of(NAME)


async def test_without_capacity_creation_fails_with_the_reason_of_every_cell(
    entities: Entities,
) -> None:
    entities.world.known_cells[:] = [
        with_capacity(cell_view("east-1"), Capacity(0, 0)),
        cell_view("east-2", ready=False),
        cell_view("west-1", cell_spec("aws-us-west-2")),
    ]

    await _create(entities)
    view = await _finished(entities, "op1")

    reason = view.operations[-1].failure_reason
    assert "east-1: namespaces: 1 needed, 0 free" in reason
    assert "east-2: not ready" in reason
    assert "west-1: is in aws-us-west-2" in reason


async def test_a_lost_race_for_a_cell_takes_the_next_best(entities: Entities) -> None:
    entities.world.known_cells.append(
        with_capacity(cell_view("aws-us-east-1-c2"), Capacity(50, 25_000))
    )
    entities.world.full_cells.add(CELL)

    await _create(entities)
    view = await _finished(entities, "op1")

    assert view.cell == "aws-us-east-1-c2"
    placement = view.observed.placement
    assert placement is not None
    assert {v.cell: v.reasons for v in placement.verdicts}[CELL] == (f"{CELL} is full",)


async def test_certificates_renew_and_credentials_rotate_by_the_entitys_own_timer(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    environment = engine_in_skipped_time
    start = await environment.get_current_time()
    world = MemoryWorld(known_cells=[cell_view()])
    async with working(environment.client, world=world) as entities:
        world.now = lambda: start
        await _create(entities)
        await _finished(entities, "op1")
        first_certificate, first_login = world.issued[NAME], _login(world)

        world.now = lambda: start + ROTATE_EVERY
        await environment.sleep(ROTATE_EVERY + timedelta(minutes=5))
        await eventually(lambda: _answer(lambda: _login(world) != first_login))
        assert world.issued[NAME] == first_certificate

        renewal = first_certificate[1].not_after - RENEW_BEFORE
        world.now = lambda: renewal
        await environment.sleep(renewal - start - ROTATE_EVERY)
        await eventually(lambda: _answer(lambda: world.issued[NAME] != first_certificate))

        async def admitted_and_proven() -> bool:
            seen = world.views[NAME].observed
            return (
                seen.proof is not None
                and seen.admission is not None
                and seen.certificate is not None
                and seen.certificate.fingerprint == world.issued[NAME][1].fingerprint
                and seen.proof.digest == world.admitted[NAME].digest
            )

        await eventually(admitted_and_proven)


@pytest.mark.parametrize("part", ["records", "issued", "registered", "admitted", "published"])
async def test_what_disappears_behind_our_back_is_restored_at_the_next_resync(
    engine_in_skipped_time: WorkflowEnvironment, part: str
) -> None:
    environment = engine_in_skipped_time
    async with working(environment.client) as entities:
        await _create(entities)
        await _finished(entities, "op1")
        held = getattr(entities.world, part)
        held.clear()

        await environment.sleep(workflow.RESYNC_EVERY + timedelta(minutes=1))

        await eventually(lambda: _answer(lambda: bool(held)))


async def test_state_survives_continue_as_new(entities: Entities) -> None:
    await _create(entities)
    created = await _finished(entities, "op1")
    handle = entities.namespaces.handle(NAME)

    # The test engine suggests rolling over after as many events as a creation takes.
    async def rolled_over() -> bool:
        run = await handle.describe()
        return run.run_id != run.raw_description.workflow_execution_info.first_run_id

    await eventually(rolled_over)

    view = entities.world.views[NAME]
    assert (view.uid, view.life, view.observed) == (created.uid, created.life, created.observed)
    again = await _create(entities)
    assert again.uid == created.uid, "an operation is known beyond the run that accepted it"


async def test_many_namespaces_are_created_side_by_side(entities: Entities) -> None:
    names = [f"orders-{n}.acme1" for n in range(20)]

    await asyncio.gather(
        *(entities.namespaces.create(n, CreateNamespace("op1", namespace_spec())) for n in names)
    )

    async def all_active() -> bool:
        views = entities.world.views
        return all(n in views and views[n].life == NamespaceLife.ACTIVE for n in names)

    await eventually(all_active, within=100)


async def _create(entities: Entities) -> NamespaceView:
    return await entities.namespaces.create(NAME, CreateNamespace("op1", namespace_spec()))


async def _finished(entities: Entities, operation: str) -> NamespaceView:
    """Return the published view in which the operation is finished."""

    async def finished() -> bool:
        view = entities.world.views.get(NAME)
        return view is not None and any(
            op.id == operation and op.finished_at is not None for op in view.operations
        )

    await eventually(finished, within=100)
    return entities.world.views[NAME]


def _login(world: MemoryWorld) -> str:
    return world.records[NAME][1].login


async def _answer(question: Callable[[], bool]) -> bool:
    return question()
