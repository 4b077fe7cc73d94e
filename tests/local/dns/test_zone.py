"""The zone's rules, as tables and laws."""

from collections.abc import Callable

import dns.message
import dns.name
import dns.rdatatype
import dns.update
import pytest
from dns.rcode import Rcode
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.local.dns.zone import Change, Zone

ORIGIN = dns.name.from_text("fleet.test")
TEXT = """
@          60 IN SOA   ns hostmaster 1 60 60 86400 5
@          60 IN NS    ns
ns         60 IN A     127.0.0.1
c1.cell    60 IN A     192.0.2.1
c1.cell    60 IN A     192.0.2.2
orders     15 IN CNAME c1.cell
twice      15 IN CNAME orders
round      15 IN CNAME about
about      15 IN CNAME round
dangling   15 IN CNAME nowhere
outside    15 IN CNAME example.com.
*.wild     15 IN A     192.0.2.3
text       15 IN TXT   "one" "two"
"""


def zone(text: str = TEXT) -> Zone:
    return Zone(text, ORIGIN)


def content(of: Zone) -> list[str]:
    return sorted(of.lines())


def answer(name: str, rdtype: str, of: Zone | None = None) -> tuple[Rcode, list[str], bool]:
    """Return the code, the records without TTL and class, and whether it is a denial."""
    given = (of or zone()).answer(
        dns.name.from_text(name, ORIGIN), dns.rdatatype.RdataType.make(rdtype)
    )
    records = [
        f"{rrset.name.relativize(ORIGIN)} {dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"
        for rrset in given.answer
        for rdata in sorted(rrset)
    ]
    return given.rcode, records, bool(given.authority)


C1 = ["c1.cell A 192.0.2.1", "c1.cell A 192.0.2.2"]
ALIAS = "orders CNAME c1.cell.fleet.test."


@pytest.mark.parametrize(
    ("name", "rdtype", "expected"),
    [
        ("c1.cell", "A", (Rcode.NOERROR, C1, False)),
        ("C1.CELL", "A", (Rcode.NOERROR, [c.replace("c1.cell", "C1.CELL") for c in C1], False)),
        ("c1.cell", "AAAA", (Rcode.NOERROR, [], True)),
        ("cell", "A", (Rcode.NOERROR, [], True)),
        ("c2.cell", "A", (Rcode.NXDOMAIN, [], True)),
        ("deep.c1.cell", "A", (Rcode.NXDOMAIN, [], True)),
        ("orders", "CNAME", (Rcode.NOERROR, [ALIAS], False)),
        ("orders", "A", (Rcode.NOERROR, [ALIAS, *C1], False)),
        ("orders", "AAAA", (Rcode.NOERROR, [ALIAS], True)),
        ("twice", "A", (Rcode.NOERROR, ["twice CNAME orders.fleet.test.", ALIAS, *C1], False)),
        ("dangling", "A", (Rcode.NXDOMAIN, ["dangling CNAME nowhere.fleet.test."], True)),
        ("outside", "A", (Rcode.NOERROR, ["outside CNAME example.com."], False)),
        ("x.wild", "A", (Rcode.NOERROR, ["x.wild A 192.0.2.3"], False)),
        ("y.x.wild", "A", (Rcode.NOERROR, ["y.x.wild A 192.0.2.3"], False)),
        ("x.wild", "TXT", (Rcode.NOERROR, [], True)),
        ("wild", "A", (Rcode.NOERROR, [], True)),
        ("text", "TXT", (Rcode.NOERROR, ['text TXT "one" "two"'], False)),
        ("orders", "ANY", (Rcode.NOERROR, [ALIAS], False)),
        ("@", "NS", (Rcode.NOERROR, ["@ NS ns.fleet.test."], False)),
    ],
)
def test_questions_are_answered_as_the_standards_say(
    name: str, rdtype: str, expected: tuple[Rcode, list[str], bool]
) -> None:
    assert answer(name, rdtype) == expected


def test_aliases_that_go_round_in_circles_end() -> None:
    assert len(answer("round", "A")[1]) == 2


Prepare = Callable[[dns.update.UpdateMessage], None]


def sent(prepare: Prepare) -> dns.update.UpdateMessage:
    message = dns.update.UpdateMessage(ORIGIN)
    prepare(message)
    return arrived(message)


def arrived(message: dns.update.UpdateMessage) -> dns.update.UpdateMessage:
    """Return the update as the other side reads it."""
    parsed = dns.message.from_wire(message.to_wire())
    assert isinstance(parsed, dns.update.UpdateMessage)
    return parsed


def changes(prepare: Prepare) -> tuple[Rcode, list[str], list[str]]:
    """Return the code, and the lines removed from the zone and added, but for its serial."""
    changed = zone()
    before = content(changed)
    rcode, _ = changed.update(sent(prepare))
    after = content(changed)
    removed = [line.strip() for line in before if line not in after and "SOA" not in line]
    added = [line.strip() for line in after if line not in before and "SOA" not in line]
    return rcode, removed, added


def line(name: str, ttl: int, rest: str) -> str:
    return f"{name}.fleet.test. {ttl} IN {rest}"


@pytest.mark.parametrize(
    ("prepare", "removed", "added"),
    [
        (lambda u: u.add("new", 15, "A", "192.0.2.9"), [], [line("new", 15, "A 192.0.2.9")]),
        (
            lambda u: u.add("c1.cell", 30, "A", "192.0.2.9"),
            ["c1.cell.fleet.test. 60 IN A 192.0.2.1\nc1.cell.fleet.test. 60 IN A 192.0.2.2"],
            [
                "c1.cell.fleet.test. 30 IN A 192.0.2.9\nc1.cell.fleet.test. 30 IN A 192.0.2.1\n"
                "c1.cell.fleet.test. 30 IN A 192.0.2.2"
            ],
        ),
        (
            lambda u: u.replace("orders", 20, "CNAME", "c2.cell"),
            [line("orders", 15, "CNAME c1.cell.fleet.test.")],
            [line("orders", 20, "CNAME c2.cell.fleet.test.")],
        ),
        (
            lambda u: u.add("orders", 20, "CNAME", "c2.cell"),
            [line("orders", 15, "CNAME c1.cell.fleet.test.")],
            [line("orders", 20, "CNAME c2.cell.fleet.test.")],
        ),
        (lambda u: u.add("orders", 15, "A", "192.0.2.9"), [], []),
        (lambda u: u.add("c1.cell", 15, "CNAME", "ns"), [], []),
        (lambda u: u.delete("orders"), [line("orders", 15, "CNAME c1.cell.fleet.test.")], []),
        (lambda u: u.delete("orders", "A"), [], []),
        (lambda u: u.delete("nobody"), [], []),
        (
            lambda u: u.delete("orders", "CNAME", "c1.cell"),
            [line("orders", 15, "CNAME c1.cell.fleet.test.")],
            [],
        ),
        (lambda u: u.delete("orders", "CNAME", "c2.cell"), [], []),
    ],
)
def test_updates_do_what_the_standard_says(
    prepare: Prepare, removed: list[str], added: list[str]
) -> None:
    assert changes(prepare) == (Rcode.NOERROR, removed, added)


@pytest.mark.parametrize(
    ("prepare", "rcode"),
    [
        (lambda u: u.add("@", 15, "TXT", "mine"), Rcode.REFUSED),
        (lambda u: u.delete("@"), Rcode.REFUSED),
        (lambda u: u.add("sub", 15, "NS", "ns"), Rcode.REFUSED),
        (lambda u: u.add("example.com.", 15, "A", "192.0.2.9"), Rcode.NOTZONE),
        (lambda u: u.present("example.com."), Rcode.NOTZONE),
        (lambda u: u.present("nobody"), Rcode.NXDOMAIN),
        (lambda u: u.present("cell"), Rcode.NXDOMAIN),
        (lambda u: u.absent("orders"), Rcode.YXDOMAIN),
        (lambda u: u.present("orders", "A"), Rcode.NXRRSET),
        (lambda u: u.absent("orders", "CNAME"), Rcode.YXRRSET),
        (lambda u: u.present("orders", "CNAME", "c2.cell"), Rcode.NXRRSET),
        (lambda u: u.present("c1.cell", "A", "192.0.2.1"), Rcode.NXRRSET),
        (lambda u: u.present("orders"), Rcode.NOERROR),
        (lambda u: u.absent("nobody"), Rcode.NOERROR),
        (lambda u: u.absent("x.wild"), Rcode.NOERROR),
        (lambda u: u.present("orders", "CNAME"), Rcode.NOERROR),
        (lambda u: u.absent("orders", "A"), Rcode.NOERROR),
        (lambda u: u.present("c1.cell", "A", "192.0.2.2", "192.0.2.1"), Rcode.NOERROR),
    ],
)
def test_an_update_happens_whole_or_not_at_all(prepare: Prepare, rcode: Rcode) -> None:
    def prepare_more(message: dns.update.UpdateMessage) -> None:
        message.add("new", 15, "A", "192.0.2.9")
        prepare(message)

    added = [line("new", 15, "A 192.0.2.9")] if rcode == Rcode.NOERROR else []
    assert changes(prepare_more) == (rcode, [], added)


def test_an_update_of_another_zone_is_not_ours() -> None:
    assert zone().update(dns.update.UpdateMessage("example.com."))[0] == Rcode.NOTAUTH


def test_the_serial_tells_whether_anything_changed() -> None:
    changed = zone()
    add = sent(lambda u: u.replace("orders", 20, "CNAME", "c2.cell"))

    _, first = changed.update(add)
    _, again = changed.update(add)

    assert first is not None
    assert (first.serial, again, changed.serial) == (2, None, 2)


def test_the_zone_file_is_the_zone() -> None:
    assert content(zone("".join(zone().lines()))) == content(zone())


NAMES = st.sampled_from(["a", "b", "x.b", "c1.cell", "orders", "*.wild", "y.wild"])
RECORDS = st.one_of(
    st.tuples(st.just("A"), st.sampled_from(["192.0.2.1", "192.0.2.7"])),
    st.tuples(st.just("CNAME"), st.sampled_from(["a", "c1.cell", "gone"])),
    st.tuples(st.just("TXT"), st.sampled_from(['"one"', '"two" "three"', '"\\"\\\\é"'])),
)
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), NAMES, st.integers(0, 60), RECORDS),
    st.tuples(st.just("replace"), NAMES, st.integers(0, 60), RECORDS),
    st.tuples(st.just("delete"), NAMES, st.just(0), RECORDS),
    st.tuples(st.just("delete name"), NAMES, st.just(0), RECORDS),
)


@settings(max_examples=30, deadline=None)  # Other tests share the processors.
@given(updates=st.lists(st.lists(OPERATIONS, max_size=4), max_size=6))
def test_replaying_changes_from_any_moment_gives_the_same_zone(
    updates: list[list[tuple[str, str, int, tuple[str, str]]]],
) -> None:
    changed, journal = zone(), list[Change]()
    for operations in updates:
        message = dns.update.UpdateMessage(ORIGIN)
        for kind, name, ttl, (rdtype, data) in operations:
            match kind:
                case "add":
                    message.add(name, ttl, rdtype, data)
                case "replace":
                    message.replace(name, ttl, rdtype, data)
                case "delete":
                    message.delete(name, rdtype, data)
                case _:
                    message.delete(name)
        _, change = changed.update(arrived(message))
        if change is not None:
            journal.append(Change.from_json(change.to_json()))

    for moment in range(len(journal) + 1):
        replayed = zone()
        for change in journal[:moment] + journal:
            replayed.replay(change)
        assert sorted_content(replayed) == sorted_content(changed)
        assert replayed.serial == changed.serial
    assert sorted_content(zone("".join(changed.lines()))) == sorted_content(changed)
    for name in ("a", "orders", "y.wild"):
        assert answer(name, "A", replayed) == answer(name, "A", changed)


def sorted_content(of: Zone) -> list[str]:
    """Return the zone's records, line by line: the order within a set means nothing."""
    return sorted("".join(of.lines()).splitlines())
