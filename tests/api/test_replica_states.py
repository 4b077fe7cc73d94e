"""How the replicas of a namespace are, as the API says it."""

from dataclasses import replace

import pytest
from temporalio.api.cloud.namespace.v1 import NamespaceRegionStatus
from temporalio.api.cloud.namespace.v1 import Replica as Message

from controlplane.api.endpoints import Addresses
from controlplane.api.messages import namespace_message
from controlplane.api.replica_states import Replica, ReplicaState, replicas_of, replicas_wanted
from provisioning.types import (
    NamespaceLife,
    NamespaceSpec,
    NamespaceView,
    ReplicaChange,
    ReplicaChangeKind,
)
from tests.store.views import CELL, NOW, REGION, namespace_view, passive_replica, replicated

OTHER = "aws-us-west-2"
OTHER_CELL = "aws-us-west-2-c1"
State = NamespaceRegionStatus


def change(kind: ReplicaChangeKind, source: str, target: str, region: str) -> ReplicaChange:
    return ReplicaChange("1", kind, "op-1", source, target, region, NOW)


def wanting(view: NamespaceView, *regions: str) -> NamespaceView:
    return replace(view, spec=replace(view.spec, region=regions[0], replicas=regions))


def states(view: NamespaceView) -> list[tuple[str, str, ReplicaState]]:
    return [(each.region, each.cell, each.state) for each in replicas_of(view)]


ACTIVE = (REGION, CELL, ReplicaState.ACTIVE)


def test_a_namespace_in_one_region_has_one_replica() -> None:
    assert replicas_of(namespace_view()) == (
        Replica(REGION, CELL, ReplicaState.ACTIVE, is_active=True),
    )


def test_a_replica_that_is_wanted_is_being_added_from_the_first_moment_on() -> None:
    wanted = wanting(namespace_view(), REGION, OTHER)

    assert states(wanted) == [ACTIVE, (OTHER, "", ReplicaState.ADDING)]
    placed = replace(wanted, change=change(ReplicaChangeKind.ADD, "", OTHER_CELL, OTHER))
    assert states(placed) == [ACTIVE, (OTHER, OTHER_CELL, ReplicaState.ADDING)]
    added = replicated(REGION, OTHER)
    assert states(added) == [ACTIVE, (OTHER, OTHER_CELL, ReplicaState.PASSIVE)]


def test_a_replica_is_being_added_until_its_ingress_was_proven() -> None:
    view = replicated(REGION, OTHER)
    unproven = {OTHER_CELL: replace(view.passive[OTHER_CELL], proof=None)}

    assert states(replace(view, passive=unproven)) == [
        ACTIVE,
        (OTHER, OTHER_CELL, ReplicaState.ADDING),
    ]


def test_a_replica_that_is_wanted_no_more_is_being_removed_until_it_is_gone() -> None:
    unwanted = wanting(replicated(REGION, OTHER), REGION)

    assert states(unwanted) == [ACTIVE, (OTHER, OTHER_CELL, ReplicaState.REMOVING)]
    assert states(replace(unwanted, passive={})) == [ACTIVE]


def test_of_two_replicas_in_one_region_the_one_that_goes_is_known_by_its_cell() -> None:
    both = replace(
        namespace_view(),
        passive={"c2": passive_replica(OTHER, number=1), "c3": passive_replica(OTHER, number=2)},
    )
    wanted = wanting(both, REGION, OTHER)

    assert states(wanted) == [
        ACTIVE,
        (OTHER, "c2", ReplicaState.PASSIVE),
        (OTHER, "c3", ReplicaState.REMOVING),
    ]
    chosen = replace(wanted, change=change(ReplicaChangeKind.REMOVE, "c2", "", OTHER))
    assert states(chosen) == [
        ACTIVE,
        (OTHER, "c2", ReplicaState.REMOVING),
        (OTHER, "c3", ReplicaState.PASSIVE),
    ]


def test_after_a_failover_the_two_have_changed_places() -> None:
    view = replicated(REGION, OTHER, active=OTHER)

    assert states(view) == [
        (OTHER, OTHER_CELL, ReplicaState.ACTIVE),
        (REGION, CELL, ReplicaState.PASSIVE),
    ]
    message = namespace_message(view, Addresses())
    assert message.active_region == OTHER
    assert list(message.spec.regions) == [REGION, OTHER]
    assert {region: status.state for region, status in message.region_status.items()} == {
        OTHER: State.STATE_ACTIVE,
        REGION: State.STATE_PASSIVE,
    }
    assert [(each.id, each.is_primary, each.state) for each in message.replicas] == [
        (OTHER, True, Message.REPLICA_STATE_ACTIVE),
        (REGION, False, Message.REPLICA_STATE_ACTIVE),
    ]


def test_a_tenant_does_not_see_the_replica_that_a_migration_adds() -> None:
    moving = change(ReplicaChangeKind.MIGRATE, CELL, "aws-us-east-1-c2", REGION)
    coming = replace(namespace_view(), change=moving)
    there = replace(coming, passive={"aws-us-east-1-c2": passive_replica(REGION)})
    moved = replace(
        namespace_view(cell="aws-us-east-1-c2"),
        change=moving,
        passive={CELL: passive_replica(REGION)},
    )

    for view, cell in ((coming, CELL), (there, CELL), (moved, "aws-us-east-1-c2")):
        assert [replica.cell for replica in replicas_wanted(view)] == [cell]
        assert {replica.cell for replica in replicas_of(view)} == {CELL, "aws-us-east-1-c2"}


def test_a_passive_replica_may_be_what_moves() -> None:
    moving = change(ReplicaChangeKind.MIGRATE, OTHER_CELL, "aws-us-west-2-c2", OTHER)
    coming = replace(replicated(REGION, OTHER), change=moving)
    there = replace(
        coming, passive={**coming.passive, "aws-us-west-2-c2": passive_replica(OTHER, number=2)}
    )

    assert [replica.cell for replica in replicas_wanted(coming)] == [CELL, OTHER_CELL]
    assert [replica.cell for replica in replicas_wanted(there)] == [CELL, "aws-us-west-2-c2"]


def test_a_replica_may_move_to_a_region_of_which_the_spec_does_not_know_yet() -> None:
    moving = change(ReplicaChangeKind.MIGRATE, OTHER_CELL, "gcp-us-central1-c1", "gcp-us-central1")
    pair = replace(replicated(REGION, OTHER), change=moving)
    there = {"gcp-us-central1-c1": passive_replica("gcp-us-central1", number=2)}
    arrived = replace(pair, passive={**pair.passive, **there})
    alone = replace(arrived, passive=there)

    for view in (arrived, alone):
        assert [(each.cell, each.state) for each in replicas_wanted(view)] == [
            (CELL, ReplicaState.ACTIVE),
            ("gcp-us-central1-c1", ReplicaState.PASSIVE),
        ]


def test_a_cell_that_is_to_be_chosen_hides_nothing() -> None:
    moving = change(ReplicaChangeKind.MIGRATE, CELL, "", REGION)
    view = replace(namespace_view(), change=moving)

    assert [replica.cell for replica in replicas_wanted(view)] == [CELL]


@pytest.mark.parametrize(
    ("life", "state"),
    [
        (NamespaceLife.ACTIVATING, ReplicaState.ADDING),
        (NamespaceLife.ACTIVE, ReplicaState.ACTIVE),
        (NamespaceLife.UPDATING, ReplicaState.ACTIVE),
        (NamespaceLife.UPDATE_FAILED, ReplicaState.ACTIVE),
        (NamespaceLife.ACTIVATION_FAILED, ReplicaState.FAILED),
        (NamespaceLife.DELETING, ReplicaState.REMOVING),
    ],
)
def test_the_active_replica_is_as_its_namespace(life: NamespaceLife, state: ReplicaState) -> None:
    assert replicas_of(namespace_view(life=life))[0].state is state


def test_a_namespace_that_is_deleted_loses_all_of_them() -> None:
    view = replace(replicated(REGION, OTHER), life=NamespaceLife.DELETING)

    assert {state for _, _, state in states(view)} == {ReplicaState.REMOVING}
    assert len(states(replace(view, passive={}))) == 1


def test_a_namespace_that_begins_with_two_replicas_adds_both() -> None:
    spec = replace(namespace_view().spec, replicas=(REGION, OTHER))
    view = namespace_view(spec=spec, cell=None, life=NamespaceLife.ACTIVATING)

    assert states(view) == [
        (REGION, "", ReplicaState.ADDING),
        (OTHER, "", ReplicaState.ADDING),
    ]


def test_two_replicas_in_one_region_have_ids_of_their_own() -> None:
    spec: NamespaceSpec = replace(namespace_view().spec, replicas=(REGION, REGION))
    view = replace(namespace_view(spec=spec), passive={"c2": passive_replica(REGION)})

    found = namespace_message(view, Addresses())
    coming = namespace_message(replace(view, passive={}), Addresses())

    assert [replica.id for replica in found.replicas] == [CELL, "c2"]
    assert [replica.id for replica in coming.replicas] == [CELL, f"{REGION}-new"]
    assert found.region_status[REGION].state == State.STATE_ACTIVE
