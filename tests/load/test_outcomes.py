"""How a load is counted."""

import pytest

from tests.load.outcomes import Connected, Ended, Schedule, count

SCHEDULE = Schedule(start=100.0, interval=1.0, namespaces=("a", "b"))


def test_namespaces_take_turns_within_an_interval() -> None:
    assert [SCHEDULE.due("a", 1), SCHEDULE.due("b", 1)] == [101.0, 101.5]
    assert SCHEDULE.between(101.0, 102.5) == {("a", 1), ("a", 2), ("b", 1)}
    assert SCHEDULE.between(90.0, 100.1) == {("a", 0)}


def test_what_is_due_and_does_not_complete_has_failed() -> None:
    ended = _ended(("a", 0, 100.1), ("b", 0, 100.6))
    ended["a", 1] = Ended("a", 1, 161.0, False, ("TimeoutError",))

    counted = count(SCHEDULE, ended, [], 100.0, 102.0)

    assert (counted.due, counted.completed, counted.failed) == (4, 2, 2)
    assert counted.errors == ("TimeoutError",)


def test_a_gap_lasts_while_something_is_due_and_nothing_completes() -> None:
    ended = _ended(
        ("a", 0, 100.1), ("a", 1, 103.6), ("a", 2, 103.7), ("a", 3, 103.8), ("b", 0, 100.6)
    )

    counted = count(SCHEDULE, ended, [], 100.0, 104.0)

    assert counted.longest_gap == pytest.approx(103.6 - 101.0)
    assert counted.slowest == pytest.approx(103.6 - 101.0)
    # By more than a second slower than the median, which is that of number 3.
    assert counted.delayed == 1


def test_only_connections_of_that_time_count() -> None:
    connected = [
        Connected("a", 99.0, 9.0, ("refused",)),
        Connected("b", 101.0, 0.2, ("refused", "refused")),
    ]

    counted = count(SCHEDULE, {}, connected, 100.0, 102.0)

    assert (counted.connections, len(counted.refusals)) == (1, 2)
    assert counted.slowest_connection == 0.2


def _ended(*completed: tuple[str, int, float]) -> dict[tuple[str, int], Ended]:
    return {(ns, number): Ended(ns, number, at, True, ()) for ns, number, at in completed}
