"""Where a namespace may come to have replicas, and where it may become active."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.api.cloud.namespace.v1 import NamespaceSpec, ReplicaSpec
from temporalio.exceptions import ApplicationError

from controlplane.api.replica_rules import (
    ReplicaRules,
    check_target,
    with_region,
    without_region,
)
from controlplane.errors import ErrorType
from provisioning.types import NamespaceView
from tests.store.views import NOW, REGION, namespace_view, passive_replica, replicated

OTHER, THIRD = "gcp-us-central1", "aws-us-west-2"
WEEK = timedelta(days=7)
RULES = ReplicaRules((REGION, OTHER, THIRD), WEEK)


def regions(*named: str) -> NamespaceSpec:
    return NamespaceSpec(regions=named)


def replicas(*named: str) -> NamespaceSpec:
    return NamespaceSpec(replicas=[ReplicaSpec(region=region) for region in named])


def pair() -> NamespaceView:
    return replicated(REGION, OTHER)


def refused(ask: Callable[[], object], error: ErrorType) -> str:
    with pytest.raises(ApplicationError) as refusal:
        ask()
    assert refusal.value.type == error
    return refusal.value.message


def test_the_older_field_has_no_order_and_the_present_one_has() -> None:
    assert RULES.of_changed(regions(OTHER, REGION), pair(), NOW) == (REGION, OTHER)
    assert RULES.of_changed(replicas(OTHER, REGION), pair(), NOW) == (OTHER, REGION)


def test_two_fields_that_change_the_regions_differently_are_refused_with_both() -> None:
    spec = regions(REGION)
    spec.replicas.extend(replicas(REGION, THIRD).replicas)

    told = refused(lambda: RULES.of_changed(spec, pair(), NOW), ErrorType.INVALID_ARGUMENT)

    assert f"spec.regions ({REGION}) and spec.replicas ({REGION}, {THIRD})" in told


def test_a_replica_may_go_and_another_come_in_one_update() -> None:
    assert RULES.of_changed(replicas(REGION, THIRD), pair(), NOW) == (REGION, THIRD)


def test_the_region_in_which_the_namespace_is_active_stays() -> None:
    told = refused(
        lambda: RULES.of_changed(replicas(OTHER), pair(), NOW), ErrorType.FAILED_PRECONDITION
    )

    assert f"is active in {REGION}" in told
    assert "FailoverNamespaceRegion" in told
    failed_over = replicated(REGION, OTHER, active=OTHER)
    assert RULES.of_changed(replicas(OTHER), failed_over, NOW) == (OTHER,)
    refused(
        lambda: RULES.of_changed(regions(REGION), failed_over, NOW), ErrorType.FAILED_PRECONDITION
    )


def test_a_region_that_was_left_is_returned_to_after_the_cooldown_and_not_before() -> None:
    view = replace(namespace_view(), left_regions={OTHER: NOW})

    told = refused(
        lambda: RULES.of_changed(replicas(REGION, OTHER), view, NOW + WEEK - timedelta(seconds=1)),
        ErrorType.FAILED_PRECONDITION,
    )

    assert "for 7 days: add it after 2026-01-09 03:04 UTC" in told
    assert RULES.of_changed(replicas(REGION, OTHER), view, NOW + WEEK) == (REGION, OTHER)
    assert RULES.of_changed(replicas(REGION, THIRD), view, NOW) == (REGION, THIRD)
    at_once = ReplicaRules(RULES.known)
    assert at_once.of_changed(replicas(REGION, OTHER), view, NOW) == (REGION, OTHER)


def test_a_region_is_not_returned_to_while_its_replica_is_being_removed() -> None:
    leaving = replace(namespace_view(), passive={"gcp-us-central1-c1": passive_replica(OTHER)})

    told = refused(
        lambda: RULES.of_changed(replicas(REGION, OTHER), leaving, NOW),
        ErrorType.FAILED_PRECONDITION,
    )

    assert f"in {OTHER} is still being removed" in told


def test_what_the_namespace_has_already_is_not_held_against_it() -> None:
    # The fleet may have lost a region, and the limit may have been another.
    three = replicated(REGION, OTHER, THIRD)
    without = ReplicaRules((REGION,), WEEK)

    assert without.of_changed(NamespaceSpec(), three, NOW) == (REGION, OTHER, THIRD)
    assert without.of_changed(replicas(REGION, THIRD), three, NOW) == (REGION, THIRD)


def test_a_region_is_added_once() -> None:
    assert with_region(namespace_view(), OTHER) == (REGION, OTHER)
    told = refused(lambda: with_region(pair(), OTHER), ErrorType.INVALID_ARGUMENT)
    assert "names the region twice in spec.replicas" in told


def test_of_two_replicas_in_one_region_the_preferred_one_stays() -> None:
    assert without_region(replicated(REGION, REGION), REGION) == (REGION,)
    assert without_region(replicated(REGION, REGION, OTHER), REGION) == (REGION, OTHER)
    assert without_region(pair(), OTHER) == (REGION,)
    assert without_region(pair(), REGION) == (OTHER,)


def test_the_last_region_is_not_removed_nor_one_that_is_none() -> None:
    refused(lambda: without_region(namespace_view(), REGION), ErrorType.FAILED_PRECONDITION)
    told = refused(lambda: without_region(pair(), THIRD), ErrorType.INVALID_ARGUMENT)
    assert f"it is in {REGION}, {OTHER}" in told


def test_a_namespace_fails_over_to_a_replica_that_is_whole_or_to_where_it_is() -> None:
    check_target(pair(), OTHER)
    check_target(pair(), REGION)
    told = refused(lambda: check_target(pair(), THIRD), ErrorType.INVALID_ARGUMENT)
    assert f"fail over to one of {REGION}, {OTHER}" in told
    coming = replace(pair(), passive={})
    told = refused(lambda: check_target(coming, OTHER), ErrorType.FAILED_PRECONDITION)
    assert "is still being added" in told
