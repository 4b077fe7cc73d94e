"""How far a change of replicas is, as it is told where there is no terminal to draw on."""

from dataclasses import replace
from datetime import timedelta

from controlplane.api.replica_explanations import explain_replicas
from controlplane.api.replica_types import NamespaceReplicas
from controlplane.cli.replica_progress import Phases, how_far
from provisioning.types import ReplicaChange, ReplicaChangeKind, ReplicaProgress
from tests.store.views import NOW, REGION, replicated

OTHER = "aws-us-west-2"


def looked(progress: ReplicaProgress, minutes: float = 0) -> NamespaceReplicas:
    now = NOW + timedelta(minutes=minutes)
    change = ReplicaChange(
        "7", ReplicaChangeKind.ADD, "op-1", "", "aws-us-west-2-c1", OTHER, NOW, progress, now
    )
    view = replace(replicated(REGION, OTHER), change=change)
    return explain_replicas(view, (), None, now)


def lines(*looks: tuple[NamespaceReplicas | None, float]) -> list[str]:
    phases, told = Phases(), list[str]()
    for look, minutes in looks:
        told += phases.news(look, NOW + timedelta(minutes=minutes))
    return told


def test_a_phase_is_told_when_it_begins_and_when_the_next_one_does() -> None:
    assert lines(
        (looked(ReplicaProgress("join")), 0),
        (looked(ReplicaProgress("join")), 1),
        (looked(ReplicaProgress("copy", done=4, of=4), 2), 2.5),
        (None, 5),
    ) == [
        "  … Join the cells",
        "  ✓ Join the cells                      2 min 0 s",
        "  … Copy workflow executions: 4 of 4",
        "  ✓ Copy workflow executions            3 min 0 s",
    ]


def test_counts_alone_are_no_news() -> None:
    looks = [(looked(ReplicaProgress("copy", done=n, of=40), n), float(n)) for n in range(1, 9)]

    assert lines(*looks) == ["  … Copy workflow executions: 1 of 40, about 39m left"]


def test_what_it_waits_for_is_news() -> None:
    waiting = ReplicaProgress("soak", waits_for="say that the former cell may go")

    assert lines((looked(ReplicaProgress("soak")), 0), (looked(waiting), 1))[-1] == (
        "  … Keep the former cell as a replica: waits for a person: say that the former cell may go"
    )


def test_nothing_is_told_of_what_was_never_seen() -> None:
    assert lines((None, 0), (None, 1)) == []


def test_the_time_that_is_left_is_told_roughly() -> None:
    look = looked(ReplicaProgress("copy", "12 a second", done=10, of=40), minutes=1)
    assert look.change is not None
    now = NOW + timedelta(minutes=1)

    assert how_far(look.change, look.change_eta, now) == "12 a second, 10 of 40, about 3m left"
