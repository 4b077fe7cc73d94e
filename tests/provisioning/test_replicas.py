"""A namespace with replicas: what its entity does about them, in a world in memory."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from controlplane.errors import rejected
from controlplane.ids import replica_change_workflow_id
from provisioning.memory import MemoryWorld
from provisioning.replicas.types import ReplicationState
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    CreateNamespace,
    DeleteNamespace,
    FailOver,
    FailoverMode,
    InspectNamespace,
    MigrateNamespace,
    NamespaceLife,
    NamespaceView,
    OperationKind,
    OperationState,
    ReplicaChange,
    RevokeCertificate,
    UpdateNamespace,
)
from tests.engine import Entities, cell_spec, cell_view, fresh_namespace, namespace_spec, working
from tests.eventually import eventually

NAME = "orders.acme1"
EAST, WEST, CENTRAL = "aws-us-east-1", "aws-us-west-2", "gcp-us-central1"
C_EAST, C_WEST, C_CENTRAL = (f"{region}-c1" for region in (EAST, WEST, CENTRAL))


def three_cells() -> MemoryWorld:
    return MemoryWorld(
        known_cells=[
            cell_view(f"{region}-c1", cell_spec(region, failover_version=number))
            for number, region in enumerate((EAST, WEST, CENTRAL), start=1)
        ]
    )


@pytest.fixture
async def entities(engine: WorkflowEnvironment) -> AsyncIterator[Entities]:
    client = await fresh_namespace(engine.client)
    async with working(client, world=three_cells()) as entities:
        for view in entities.world.known_cells:
            await entities.cells.register(view.id, view.spec)
        yield entities


async def finished(entities: Entities, operation: str) -> NamespaceView:
    async def is_closed() -> bool:
        view = entities.world.views.get(NAME)
        return view is not None and any(
            op.id == operation and op.finished_at for op in view.operations
        )

    await eventually(is_closed)
    return entities.world.views[NAME]


async def replicated(entities: Entities) -> NamespaceView:
    """Return a namespace with replicas in the east, where it is active, and in the west."""
    await entities.namespaces.create(NAME, CreateNamespace("op1", namespace_spec()))
    view = await finished(entities, "op1")
    entities.replication.start(NAME, C_EAST, "old/1")
    wanted = replace(view.spec, replicas=(EAST, WEST))
    await entities.namespaces.update(
        NAME, UpdateNamespace("op2", "", wanted, OperationKind.ADD_REGION)
    )
    return await settled(entities, "op2")


async def settled(entities: Entities, operation: str) -> NamespaceView:
    await finished(entities, operation)

    async def is_settled() -> bool:
        view = entities.world.views[NAME]
        return view.change is None and all(
            replica.proof is not None for replica in view.passive.values()
        )

    await eventually(is_settled)
    return entities.world.views[NAME]


def outcome(view: NamespaceView, operation: str) -> tuple[OperationState, str]:
    (found,) = (op for op in view.operations if op.id == operation)
    return found.state, found.failure_reason


async def test_a_region_is_added_with_everything_that_a_client_needs_there(
    entities: Entities,
) -> None:
    view = await replicated(entities)

    assert outcome(view, "op2") == (OperationState.FULFILLED, "")
    assert view.cells == (C_EAST, C_WEST)
    assert view.spec.regions == (EAST, WEST)
    assert entities.replication.namespaces[NAME].executions[C_WEST] == {"old/1"}
    world, passive = entities.world, f"{NAME}@{C_WEST}"
    assert passive in world.records
    assert passive in world.admitted
    assert world.routes == {passive: C_EAST}
    assert (await entities.cells.allocations(C_WEST))[NAME].expires_at is None


async def test_a_namespace_is_created_with_two_replicas(entities: Entities) -> None:
    spec = replace(namespace_spec(), replicas=(EAST, CENTRAL))
    await entities.namespaces.create(NAME, CreateNamespace("op1", spec))
    view = await settled(entities, "op1")

    assert outcome(view, "op1") == (OperationState.FULFILLED, "")
    assert view.life == NamespaceLife.ACTIVE
    assert view.cells == (C_EAST, C_CENTRAL)
    assert f"{NAME}@{C_CENTRAL}" in entities.world.admitted


@pytest.mark.parametrize("mode", FailoverMode)
async def test_a_failover_swaps_the_replicas_and_leads_everybody_to_the_other(
    entities: Entities, mode: FailoverMode
) -> None:
    await replicated(entities)
    await entities.namespaces.fail_over(NAME, FailOver("op3", WEST, mode=mode))
    view = await settled(entities, "op3")

    assert outcome(view, "op3") == (OperationState.FULFILLED, "")
    assert view.cells == (C_WEST, C_EAST)
    assert view.active_region == WEST
    assert view.spec.regions == (EAST, WEST)
    assert view.failovers[-1].forced is (mode == FailoverMode.FORCED)
    assert entities.world.routes == {NAME: C_WEST}
    (dns,) = entities.world.published.values()
    assert dns.target.startswith(f"{C_WEST}.")

    await entities.namespaces.fail_over(NAME, FailOver("op4", EAST))
    view = await settled(entities, "op4")
    assert view.cells == (C_EAST, C_WEST)
    assert entities.world.routes == {f"{NAME}@{C_WEST}": C_EAST}


async def test_a_failover_to_where_it_is_active_already_is_done_at_once(
    entities: Entities,
) -> None:
    await replicated(entities)
    view = await entities.namespaces.fail_over(NAME, FailOver("op3", EAST))

    assert outcome(view, "op3") == (OperationState.FULFILLED, "")
    assert view.change is None


async def test_a_lost_cell_is_left_by_force_and_follows_when_it_is_back(
    entities: Entities,
) -> None:
    await replicated(entities)
    entities.world.lost_cells.add(C_EAST)
    await entities.namespaces.fail_over(NAME, FailOver("op3", WEST))
    view = await finished(entities, "op3")

    assert outcome(view, "op3") == (OperationState.FULFILLED, "")
    assert view.failovers[-1].forced
    assert view.cells == (C_WEST, C_EAST)
    assert NAME not in entities.world.routes

    entities.world.lost_cells.clear()
    await settled(entities, "op3")
    assert entities.world.routes == {NAME: C_WEST}


async def test_a_graceful_failover_that_cannot_be_leaves_everything_as_it_was(
    entities: Entities,
) -> None:
    await replicated(entities)
    entities.replication.is_cut = True
    await entities.namespaces.fail_over(NAME, FailOver("op3", WEST, mode=FailoverMode.GRACEFUL))
    view = await settled(entities, "op3")

    state, reason = outcome(view, "op3")
    assert state == OperationState.FAILED
    assert "did not catch up" in reason
    assert view.cells == (C_EAST, C_WEST)
    assert entities.world.routes == {f"{NAME}@{C_WEST}": C_EAST}
    assert entities.replication.namespaces[NAME].active == C_EAST


async def test_what_a_replica_lacks_is_copied_before_it_becomes_active(
    entities: Entities,
) -> None:
    await replicated(entities)
    entities.replication.is_cut = True
    entities.replication.start(NAME, C_EAST, "missed/1")
    entities.replication.is_cut = False
    await entities.namespaces.fail_over(NAME, FailOver("op3", WEST, mode=FailoverMode.GRACEFUL))
    await settled(entities, "op3")

    assert "missed/1" in entities.replication.namespaces[NAME].executions[C_WEST]


async def test_a_region_is_removed_without_a_trace_and_can_return(entities: Entities) -> None:
    view = await replicated(entities)
    await entities.namespaces.update(
        NAME, UpdateNamespace("op3", "", replace(view.spec, replicas=()))
    )
    view = await settled(entities, "op3")

    assert outcome(view, "op3") == (OperationState.FULFILLED, "")
    assert view.cells == (C_EAST,)
    assert WEST in view.left_regions
    passive = f"{NAME}@{C_WEST}"
    assert passive not in {
        *entities.world.records,
        *entities.world.admitted,
        *entities.world.routes,
    }
    assert list(entities.replication.namespaces[NAME].executions) == [C_EAST]
    await eventually(lambda: _holds_nothing(entities, C_WEST))

    await entities.namespaces.update(
        NAME, UpdateNamespace("op4", "", replace(view.spec, replicas=(EAST, WEST)))
    )
    assert (await settled(entities, "op4")).cells == (C_EAST, C_WEST)


async def _holds_nothing(entities: Entities, cell: str) -> bool:
    return not await entities.cells.allocations(cell)


async def test_a_replica_that_cannot_be_added_leaves_nothing_and_the_spec_as_it_was(
    entities: Entities,
) -> None:
    await entities.namespaces.create(NAME, CreateNamespace("op1", namespace_spec()))
    view = await finished(entities, "op1")
    entities.replication.faults["extend"] = [rejected("another namespace has its name there")]
    wanted = replace(view.spec, replicas=(EAST, WEST))
    await entities.namespaces.update(NAME, UpdateNamespace("op2", "", wanted))
    view = await settled(entities, "op2")

    state, reason = outcome(view, "op2")
    assert state == OperationState.FAILED
    assert "another namespace has its name there. The replicas are as they were" in reason
    assert view.spec.regions == (EAST,)
    assert view.life == NamespaceLife.ACTIVE
    assert f"{NAME}@{C_WEST}" not in entities.world.records
    await eventually(lambda: _holds_nothing(entities, C_WEST))


async def test_a_deletion_takes_every_replica_with_it(entities: Entities) -> None:
    await replicated(entities)
    await entities.namespaces.fail_over(NAME, FailOver("op3", WEST))
    await settled(entities, "op3")
    await entities.namespaces.delete(NAME, DeleteNamespace("op4", ""))
    view = await finished(entities, "op4")

    assert view.life == NamespaceLife.DELETED
    assert entities.world.is_empty_of(NAME)
    await eventually(lambda: _holds_nothing(entities, C_EAST))
    await eventually(lambda: _holds_nothing(entities, C_WEST))


async def test_a_revocation_is_enforced_at_every_replica_before_it_is_said_to_be(
    entities: Entities,
) -> None:
    await replicated(entities)
    await entities.namespaces.revoke(NAME, RevokeCertificate("op3", "a1"))
    await settled(entities, "op3")

    for key in (NAME, f"{NAME}@{C_WEST}"):
        assert entities.world.admitted[key].parts["revoked_serials"] == "a1"


async def test_a_migration_asks_before_it_goes_where_there_is_no_way_back(
    entities: Entities,
) -> None:
    await entities.namespaces.create(NAME, CreateNamespace("op1", namespace_spec()))
    await finished(entities, "op1")
    await entities.namespaces.migrate(NAME, MigrateNamespace("op2", region=CENTRAL))
    change = await waiting(entities)

    view = entities.world.views[NAME]
    assert view.cells == (C_CENTRAL, C_EAST)
    assert "cannot be undone" in change.progress.waits_for

    await entities.namespaces.confirm_migration(NAME, ConfirmMigration("op3", change.id))
    view = await settled(entities, "op2")
    assert outcome(view, "op2") == (OperationState.FULFILLED, "")
    assert view.cells == (C_CENTRAL,)
    assert view.spec.regions == (CENTRAL,)
    assert NAME not in entities.world.records
    (dns,) = entities.world.published.values()
    assert dns.target.startswith(f"{C_CENTRAL}.")


async def waiting(entities: Entities) -> ReplicaChange:
    """Return the change of replicas once it waits for a person."""

    async def is_waiting() -> bool:
        view = entities.world.views.get(NAME)
        return view is not None and view.change is not None and bool(view.change.progress.waits_for)

    await eventually(is_waiting)
    change = entities.world.views[NAME].change
    assert change is not None
    return change


async def test_a_migration_that_is_aborted_returns_to_where_it_began(entities: Entities) -> None:
    await entities.namespaces.create(NAME, CreateNamespace("op1", namespace_spec()))
    await finished(entities, "op1")
    await entities.namespaces.migrate(NAME, MigrateNamespace("op2", region=CENTRAL))
    change = await waiting(entities)
    await entities.namespaces.abort_change(NAME, AbortReplicaChange("op3", change.id, "not now"))
    view = await settled(entities, "op2")

    assert outcome(view, "op2")[0] == OperationState.FAILED
    assert view.cells == (C_EAST,)
    assert entities.replication.namespaces[NAME].active == C_EAST
    assert list(entities.replication.namespaces[NAME].executions) == [C_EAST]
    assert entities.world.routes == {}
    await eventually(lambda: _holds_nothing(entities, C_CENTRAL))


async def test_one_thing_is_done_to_the_replicas_at_a_time(entities: Entities) -> None:
    await entities.namespaces.create(NAME, CreateNamespace("op1", namespace_spec()))
    view = await finished(entities, "op1")
    await entities.namespaces.migrate(NAME, MigrateNamespace("op2", region=CENTRAL))
    await waiting(entities)

    with pytest.raises(ApplicationError, match="are being changed"):
        await entities.namespaces.migrate(NAME, MigrateNamespace("op3", region=WEST))
    wanted = replace(view.spec, replicas=(EAST, WEST))
    with pytest.raises(ApplicationError, match="are being changed"):
        await entities.namespaces.update(NAME, UpdateNamespace("op4", "", wanted))
    with pytest.raises(ApplicationError, match="are being changed"):
        await entities.namespaces.fail_over(NAME, FailOver("op5", EAST))


async def test_the_active_region_is_not_removed(entities: Entities) -> None:
    view = await replicated(entities)

    with pytest.raises(ApplicationError, match="active in aws-us-east-1, which cannot be removed"):
        await entities.namespaces.update(
            NAME,
            UpdateNamespace("op3", "", replace(view.spec, region=WEST, replicas=(WEST,))),
        )


async def test_a_reply_that_was_lost_changes_nothing_about_the_outcome(
    entities: Entities,
) -> None:
    calls = ("extend", "copy", "hand_over", "withdraw", "force")
    entities.replication.afterwards = {call: [ConnectionError("lost")] for call in calls}
    view = await replicated(entities)
    await entities.namespaces.fail_over(NAME, FailOver("op3", WEST, mode=FailoverMode.FORCED))
    view = await settled(entities, "op3")
    assert view.cells == (C_WEST, C_EAST)

    await entities.namespaces.update(
        NAME, UpdateNamespace("op4", "", replace(view.spec, region=WEST, replicas=()))
    )
    assert (await settled(entities, "op4")).cells == (C_WEST,)
    assert timedelta(0) < view.failovers[-1].took < timedelta(minutes=5)


async def test_a_change_whose_workflow_was_terminated_is_given_up_and_leaves_nothing(
    entities: Entities,
) -> None:
    await entities.namespaces.create(NAME, CreateNamespace("op1", namespace_spec()))
    await finished(entities, "op1")
    await entities.namespaces.migrate(NAME, MigrateNamespace("op2", region=CENTRAL))
    change = await waiting(entities)
    await entities.temporal.get_workflow_handle(
        replica_change_workflow_id(NAME, change.id)
    ).terminate("by hand")
    await entities.namespaces.inspect(NAME, InspectNamespace("op3"))
    view = await settled(entities, "op2")

    state, reason = outcome(view, "op2")
    assert state == OperationState.FAILED
    assert "somebody has terminated it" in reason
    # It was active in the new cell by then, and stays so; the namespace can be moved on from there.
    assert view.cells == (C_CENTRAL, C_EAST)
    await entities.namespaces.fail_over(NAME, FailOver("op4", EAST))
    assert (await settled(entities, "op4")).cells[0] == C_EAST
    await eventually(lambda: _holds_nothing(entities, C_CENTRAL))
    assert entities.world.views[NAME].cells == (C_EAST,)


async def test_an_addition_that_was_terminated_before_the_namespace_was_there_leaves_nothing(
    entities: Entities,
) -> None:
    await entities.namespaces.create(NAME, CreateNamespace("op1", namespace_spec()))
    view = await finished(entities, "op1")
    entities.replication.faults["extend"] = [ConnectionError("reset by peer")] * 1000
    wanted = replace(view.spec, replicas=(EAST, WEST))
    await entities.namespaces.update(NAME, UpdateNamespace("op2", "", wanted))

    async def is_extending() -> bool:
        change = entities.world.views[NAME].change
        return change is not None and change.progress.phase == "extend"

    await eventually(is_extending)
    change = entities.world.views[NAME].change
    assert change is not None
    await entities.temporal.get_workflow_handle(
        replica_change_workflow_id(NAME, change.id)
    ).terminate("by hand")
    await entities.namespaces.inspect(NAME, InspectNamespace("op3"))
    await finished(entities, "op2")

    async def is_alone() -> bool:
        view = entities.world.views[NAME]
        return view.cells == (C_EAST,) and view.change is None

    await eventually(is_alone)
    view = entities.world.views[NAME]
    assert outcome(view, "op2")[0] == OperationState.FAILED
    assert view.spec.regions == (EAST,)
    assert f"{NAME}@{C_WEST}" not in {*entities.world.records, *entities.world.admitted}
    await eventually(lambda: _holds_nothing(entities, C_WEST))


async def test_an_inspection_finds_what_a_replica_lacks_and_has_it_copied(
    entities: Entities,
) -> None:
    await replicated(entities)
    entities.replication.is_cut = True
    entities.replication.start(NAME, C_EAST, "missed/1")
    await entities.namespaces.inspect(NAME, InspectNamespace("op3"))
    view = await settled(entities, "op3")

    assert view.conditions["Replicated"].status == "False"
    assert f"{C_WEST} lacks 1 workflow executions" in view.conditions["Replicated"].message
    assert "missed/1" in entities.replication.namespaces[NAME].executions[C_WEST]

    await entities.namespaces.inspect(NAME, InspectNamespace("op4"))
    assert (await settled(entities, "op4")).conditions["Replicated"].status == "True"


async def test_a_failover_that_was_made_elsewhere_is_adopted(entities: Entities) -> None:
    await replicated(entities)
    entities.replication.namespaces[NAME].active = C_WEST
    await entities.namespaces.inspect(NAME, InspectNamespace("op3"))
    view = await settled(entities, "op3")

    assert view.cells == (C_WEST, C_EAST)
    assert "it was not made here" in view.failovers[-1].reason
    assert entities.world.routes == {NAME: C_WEST}
    (dns,) = entities.world.published.values()
    assert dns.target.startswith(f"{C_WEST}.")


async def test_a_handover_that_nobody_carries_out_is_ended(entities: Entities) -> None:
    await replicated(entities)
    entities.replication.namespaces[NAME].state = ReplicationState.HANDOVER
    await entities.namespaces.inspect(NAME, InspectNamespace("op3"))
    await settled(entities, "op3")

    assert entities.replication.namespaces[NAME].state is ReplicationState.NORMAL


async def test_a_creation_whose_second_replica_cannot_be_opened_is_undone_whole(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    async with working(engine_in_skipped_time.client, world=three_cells()) as entities:
        for cell in entities.world.known_cells:
            await entities.cells.register(cell.id, cell.spec)
        spec = replace(namespace_spec(), replicas=(EAST, CENTRAL))
        entities.world.shut_ingresses.add(C_CENTRAL)
        await entities.namespaces.create(NAME, CreateNamespace("op1", spec))
        await engine_in_skipped_time.sleep(timedelta(minutes=20))

        view = await finished(entities, "op1")
    assert view.operations[-1].state == OperationState.FAILED
    assert f"in {C_CENTRAL}" in view.operations[-1].failure_reason
    assert entities.world.is_empty_of(NAME)
