"""How far a roll-out is, and why it does not get further."""

import json
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.drift import compare
from cells.runtime.kubernetes.errors import (
    Absent,
    Changed,
    ClusterUnavailable,
    FieldConflict,
    failure,
)
from cells.runtime.kubernetes.progress import Standing, look_at
from cells.runtime.kubernetes.reasons import pod_reasons
from controlplane.errors import ErrorType

EXCEEDED: Json = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
PROGRESSING: Json = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}


def deployment(
    *,
    seen: int = 2,
    updated: int = 3,
    every: int = 3,
    ready: int = 3,
    condition: Json = PROGRESSING,
) -> Json:
    return {
        "metadata": {"generation": 2},
        "spec": {"replicas": 3},
        "status": {
            "observedGeneration": seen,
            "updatedReplicas": updated,
            "replicas": every,
            "availableReplicas": ready,
            "conditions": [condition],
        },
    }


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        (deployment(), Standing.DONE),
        (deployment(seen=1), Standing.UNSEEN),
        (deployment(seen=1, condition=EXCEEDED), Standing.UNSEEN),
        (deployment(updated=1, every=4), Standing.UNDER_WAY),
        (deployment(every=4), Standing.UNDER_WAY),
        (deployment(ready=2), Standing.UNDER_WAY),
        (deployment(updated=1, every=4, condition=EXCEEDED), Standing.STUCK),
        ({"metadata": {"generation": 1}, "spec": {"replicas": 3}}, Standing.UNSEEN),
    ],
    ids=[
        "done",
        "not noticed",
        "the failure of what was before",
        "first pod",
        "old pod left",
        "not ready",
        "stuck",
        "new",
    ],
)
def test_a_status_counts_only_when_it_is_about_the_deployment_as_it_is(
    found: Json, standing: Standing
) -> None:
    assert look_at(found).standing is standing


def container(**state: object) -> Json:
    return {"name": "temporal", "image": "temporalio/server:1.31.9", **state}


def pod(*statuses: Json, conditions: tuple[Json, ...] = ()) -> Json:
    return {"status": {"containerStatuses": list(statuses), "conditions": list(conditions)}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            pod(container(state={"waiting": {"reason": "ImagePullBackOff", "message": "gone"}})),
            ["temporal: ImagePullBackOff: gone"],
        ),
        (
            pod(
                container(
                    state={"waiting": {"reason": "CrashLoopBackOff"}},
                    lastState={
                        "terminated": {
                            "exitCode": 1,
                            "reason": "Error",
                            "message": "version mismatch\n",
                        }
                    },
                )
            ),
            ["temporal: CrashLoopBackOff, exit code 1: version mismatch"],
        ),
        (
            pod(
                container(
                    state={"running": {}},
                    lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                )
            ),
            ["temporal: OOMKilled, exit code 137"],
        ),
        (
            pod(
                conditions=(
                    {"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"},
                )
            ),
            ["no node takes the pod: Insufficient cpu"],
        ),
        (pod(container(state={"waiting": {"reason": "ContainerCreating"}})), []),
        (pod(conditions=({"type": "Ready", "status": "True"},)), []),
    ],
    ids=["image", "crash", "memory", "unscheduled", "starting", "ready"],
)
def test_a_pod_says_why_it_is_not_ready(found: Json, expected: list[str]) -> None:
    assert pod_reasons(found) == expected


def test_what_a_program_said_last_is_what_is_shown_of_it() -> None:
    message = "starting " * 100 + "cannot connect to the database"
    (reason,) = pod_reasons(
        pod(container(state={"terminated": {"exitCode": 1, "message": message}}))
    )
    assert reason.endswith("cannot connect to the database")
    assert len(reason) < 400


def answer(status: int, body: Json, **headers: str) -> Exception:
    return failure("apply", "Deployment/history", status, json.dumps(body).encode(), headers)


def test_a_conflict_names_the_fields_and_whose_they_are() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl-edit" using apps/v1',
        "field": ".spec.replicas",
    }
    found = answer(409, {"reason": "Conflict", "details": {"causes": [cause]}})
    assert isinstance(found, FieldConflict)
    assert str(found) == "Deployment/history: .spec.replicas is kubectl-edit's"
    assert isinstance(answer(409, {"reason": "Conflict"}), Changed)


def test_what_cannot_get_better_is_rejected_and_the_rest_is_tried_again() -> None:
    for status in (400, 403, 422):
        refused = answer(status, {"message": "no"})
        assert isinstance(refused, ApplicationError)
        assert refused.type == ErrorType.REJECTED
        assert "Deployment/history" in str(refused)
    for status in (401, 500, 503):
        assert isinstance(answer(status, {}), ClusterUnavailable)
    assert isinstance(answer(404, {}), Absent)
    waits = answer(429, {}, **{"Retry-After": "7"})
    assert isinstance(waits, ApplicationError)
    assert waits.next_retry_delay == timedelta(seconds=7)


def test_drift_is_told_field_by_field_and_a_secrets_without_its_values() -> None:
    present: Json = {"spec": {"replicas": 5, "containers": [{"name": "envoy", "image": "a"}]}}
    wanted: Json = {"spec": {"replicas": 3, "containers": [{"name": "envoy", "image": "b"}]}}
    assert compare(present, wanted) == [
        "spec.containers[envoy].image is a, not b",
        "spec.replicas is 5, not 3",
    ]
    assert compare({"data": {"password": "x"}}, {"data": {"password": "y"}}, hidden=True) == [
        "data.password has another value"
    ]
