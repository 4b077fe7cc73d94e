"""Who may disturb a cell: tables over the ledger's rules."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cells.ledger.book import ROOM, Book
from cells.ledger.plan import (
    FENCED_KEPT,
    check_acquire,
    check_fence,
    conflict_set,
    decide,
    lease_for,
    remembered,
    to_strike,
)
from cells.ledger.types import (
    Acquire,
    Cap,
    ConflictKind,
    Fence,
    Fenced,
    GiveBack,
    Lease,
    Purpose,
)
from tests.ledger.leases import asking

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 5, tzinfo=UTC)


def book_of(*granted: Acquire) -> Book:
    """Return a book in which each of these was asked for, in this order, and granted."""
    book = Book({})
    for number, asked in enumerate(granted, 1):
        assert conflict_set(book, asked) == ()
        book.enter(lease_for(book, asked, NOW, number))
    return book


def in_the_way(book: Book, asked: Acquire) -> list[str]:
    return [str(conflict) for conflict in decide(book, asked).conflicts]


def test_a_cell_nobody_is_at_is_granted() -> None:
    answer = decide(book_of(), asking("c1", namespaces=["a"]))

    assert answer.granted
    assert answer.lease == 0, "it is not entered yet"


@pytest.mark.parametrize("purpose", Purpose)
def test_whoever_is_at_a_cell_is_in_everybodys_way(purpose: Purpose) -> None:
    book = book_of(asking("c1", "drill/d1", purpose=purpose))

    assert in_the_way(book, asking("c1", "rollout/r1")) == ["drill/d1 is at c1"]


def test_the_other_cells_of_a_namespace_are_refused_to_everybody_its_own_holder_included() -> None:
    book = book_of(asking("c1", "rollout/r1", namespaces=["a", "b"]))

    for holder in ("rollout/r1", "migration/m1"):
        assert in_the_way(book, asking("c2", holder, namespaces=["b", "z"])) == [
            "pair:b: c1 is disturbed by rollout/r1"
        ]
    assert in_the_way(book, asking("c2", namespaces=["z"])) == []


def test_a_lease_is_named_once_however_many_namespaces_are_shared() -> None:
    book = book_of(asking("c1", namespaces=["a", "b", "c"]), asking("c2", namespaces=["d"]))

    conflicts = decide(book, asking("c3", "drill/d1", namespaces=["d", "c", "b"])).conflicts

    assert [(each.what, each.cell) for each in conflicts] == [("b", "c1"), ("d", "c2")]


def test_the_holder_of_the_cell_may_share_namespaces_with_it() -> None:
    book = book_of(asking("c1", "drill/d1", namespaces=["a"]))

    assert in_the_way(book, asking("c1", "rollout/r1", namespaces=["a"])) == ["drill/d1 is at c1"]


def test_a_cap_counts_the_leases_of_everybody() -> None:
    book = book_of(
        asking("c1", "rollout/r1", caps={"r": 2}), asking("c2", "drill/d1", scopes=["r"])
    )

    assert in_the_way(book, asking("c3", "rollout/r1", caps={"r": 2})) == [
        "cap:r is used up, by rollout/r1 at c1 among others"
    ]
    assert in_the_way(book, asking("c3", scopes=["elsewhere"])) == []


def test_the_cap_of_a_lease_in_force_holds_for_who_asks_without_one() -> None:
    book = book_of(asking("c1", "rollout/r1", caps={"r": 1}))

    assert in_the_way(book, asking("c2", "drill/d1", scopes=["r"])) == [
        "cap:r is used up, by rollout/r1 at c1 among others"
    ]


def test_a_cap_ends_with_the_lease_of_who_asked_for_it() -> None:
    book = book_of(asking("c1", "rollout/r1", caps={"r": 1}))

    book.strike("c1")

    assert in_the_way(book, asking("c2", scopes=["r"])) == []


@pytest.mark.parametrize(
    ("held", "asked", "granted"),
    [
        ((5, 5), 3, True),
        ((5, 5), 2, False),
        ((5, 3), 5, True),
        ((5, 2), 5, False),
        ((None, None), 2, False),
        ((None, None), None, True),
        ((2, 2), None, False),
        ((3, 3), None, True),
    ],
)
def test_the_strictest_cap_holds_of_leases_in_force_and_of_who_asks(
    held: tuple[int | None, ...], asked: int | None, granted: bool
) -> None:
    def wanting(cell: str, most: int | None) -> Acquire:
        caps = {} if most is None else {"r": most}
        return asking(cell, f"drill/{cell}", caps=caps, scopes=["r"])

    book = book_of(*(wanting(f"c{n}", most) for n, most in enumerate(held)))

    assert decide(book, wanting("new", asked)).granted is granted


def test_of_two_caps_for_one_scope_the_lower_counts() -> None:
    asked = Acquire("c2", "r", Purpose.ROLLOUT, (), ("r",), (Cap("r", 5), Cap("r", 1), Cap("r", 3)))

    assert not decide(book_of(asking("c1", "drill/d1", scopes=["r"])), asked).granted


def test_a_cap_of_a_scope_that_the_cell_does_not_count_for_says_nothing() -> None:
    book = book_of(asking("c1", "drill/d1", scopes=["r"]))

    asked = Acquire("c2", "rollout/r1", Purpose.ROLLOUT, (), ("q",), (Cap("r", 1),))

    assert decide(book, asked).granted
    assert lease_for(book, asked, NOW, 7).caps == ()


def test_the_oldest_leases_are_the_ones_in_the_way_of_a_cap() -> None:
    book = book_of(*(asking(f"c{n}", f"drill/{n}", scopes=["r"]) for n in range(5)))

    conflicts = decide(book, asking("new", caps={"r": 3})).conflicts

    assert {each.cell for each in conflicts} == {"c0", "c1", "c2"}, "two may stay, with the new one"


def test_one_lease_in_the_way_of_several_caps_is_named_once() -> None:
    book = book_of(
        asking("c1", "drill/1", scopes=["r", "p"]),
        asking("c2", "drill/2", scopes=["r"]),
        asking("c3", "drill/3", scopes=["p"]),
    )

    conflicts = decide(book, asking("new", caps={"r": 2, "p": 2})).conflicts

    assert [each.cell for each in conflicts] == ["c1"]


def test_a_lease_that_has_to_go_anyhow_makes_room_under_a_cap() -> None:
    book = book_of(asking("c1", "drill/1", namespaces=["a"], scopes=["r"]))

    conflicts = decide(book, asking("c2", namespaces=["a"], caps={"r": 1})).conflicts

    assert [(each.kind, each.cell) for each in conflicts] == [(ConflictKind.PAIR, "c1")]


def test_asking_again_is_answered_as_before_and_changes_nothing() -> None:
    asked = asking("c1", namespaces=["b", "a", "a"], caps={"r": 1})
    book = book_of(asked)

    answer = decide(book, asked)

    assert answer.granted
    assert answer.lease == 1
    assert lease_for(book, asked, LATER, 9) == book.at("c1")


def test_a_holder_may_change_its_lease_where_nobody_is_in_the_way() -> None:
    book = book_of(asking("c1", namespaces=["a"]), asking("c2", "drill/d1", namespaces=["z"]))
    changed = asking("c1", namespaces=["b"])

    assert decide(book, changed).granted
    book.enter(lease_for(book, changed, LATER, 9))

    lease = book.at("c1")
    assert lease is not None
    assert (lease.namespaces, lease.since, lease.number) == (("b",), NOW, 1)
    assert in_the_way(book, asking("c3", namespaces=["a"])) == [], "that one is free again"
    assert in_the_way(book, asking("c3", namespaces=["b"])) != []


def test_a_holder_that_is_refused_a_change_still_has_its_lease_and_is_told_so() -> None:
    book = book_of(asking("c1", namespaces=["a"]), asking("c2", "drill/d1", namespaces=["z"]))

    answer = decide(book, asking("c1", namespaces=["a", "z"]))

    assert not answer.granted
    assert answer.lease == 1
    assert [str(conflict) for conflict in answer.conflicts] == [
        "pair:z: c2 is disturbed by drill/d1"
    ]


@pytest.mark.parametrize(
    ("cell", "holder", "lease", "ends"),
    [
        ("c1", "rollout/r1", 0, True),
        ("c1", "rollout/r1", 1, True),
        ("c1", "rollout/r1", 2, False),
        ("c1", "rollout/r2", 0, False),
        ("c2", "rollout/r1", 0, False),
    ],
)
def test_only_the_lease_that_is_meant_ends(cell: str, holder: str, lease: int, ends: bool) -> None:
    book = book_of(asking("c1", "rollout/r1"))

    assert (to_strike(book, GiveBack(cell, holder, lease)) is not None) is ends
    assert (to_strike(book, Fence(cell, holder, "sre", "gone", lease)) is not None) is ends


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (asking("", "rollout/r1"), "name both, cell and holder"),
        (asking("c1", ""), "name both, cell and holder"),
        (asking("c1", caps={"region/r": 0}), "the cap of region/r is 0: at least 1"),
        (
            asking("c1", namespaces=[f"namespace-{n}.acme1" for n in range(60_000)]),
            "c1 has 60000 namespaces with replicas elsewhere, more than there is room for",
        ),
    ],
    ids=["no cell", "no holder", "cap", "room"],
)
def test_what_can_never_be_granted_is_wrong(asked: Acquire, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_acquire(asked)


@pytest.mark.parametrize(
    ("by", "reason", "says"),
    [
        ("", "gone", "needs somebody who answers for it, and a reason: by is ''"),
        ("sre", "", "reason is ''"),
        ("sre", "x" * 1001, "has 1001 characters: 1000 at most"),
    ],
    ids=["nobody", "no reason", "long reason"],
)
def test_nobody_fences_without_a_name_and_a_reason(by: str, reason: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_fence(Fence("c1", "rollout/r1", by, reason))


def test_the_ledger_never_holds_more_than_fits_into_a_message_of_the_engine() -> None:
    def large(n: int) -> Acquire:
        names = [f"{n}-a-rather-long-name-{each}.account1" for each in range(9_000)]
        return asking(f"c{n}", f"drill/{n}", namespaces=names)

    book = book_of(*map(large, range(3)), asking("small", "drill/small"))
    assert ROOM * 3 / 4 < book.size < ROOM < 4 / 3 * book.size

    conflicts = decide(book, large(3)).conflicts

    assert [str(each) for each in conflicts] == [
        "the ledger is full, of drill/0's lease of c0 among others"
    ]
    assert decide(book, asking("c3", namespaces=["y"])).granted


def test_a_book_read_anew_knows_what_the_one_that_was_kept_knows() -> None:
    leases: dict[str, Lease] = {}
    book = Book(leases)
    for n in range(6):
        asked = asking(f"c{n}", namespaces=[f"n{n}"], caps={"r": 9 - n})
        book.enter(lease_for(book, asked, NOW, n + 1))
    book.strike("c5")
    book.strike("c5")

    anew = Book(dict(leases))

    assert anew.size == book.size
    for each in (book, anew):
        assert (each.count("r"), each.strictest_cap("r"), each.strictest_cap("q")) == (5, 5, None)
        assert [lease.cell for lease in each.all()] == ["c4", "c3", "c2", "c1", "c0"]
        assert each.of_namespace("n5") is None


def test_only_the_latest_fenced_leases_are_remembered() -> None:
    one = Fenced("c1", "drill/0", "sre", "gone", at=LATER, held_since=NOW)
    fenced: list[Fenced] = []
    for n in range(FENCED_KEPT + 3):
        fenced = remembered(fenced, replace(one, holder=f"drill/{n}"))

    assert [each.holder for each in fenced] == [f"drill/{n}" for n in range(3, FENCED_KEPT + 3)]
