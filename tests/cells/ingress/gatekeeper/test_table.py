from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.records import AdmissionRules, IngressRecord


def record(namespace: str, server_name: str) -> IngressRecord:
    return IngressRecord(
        namespace=namespace,
        uid="u1",
        server_name=server_name,
        admitted=True,
        rules=AdmissionRules(),
        certificate_chain="",
        sealed_key=b"",
    )


def test_records_that_swap_their_names_keep_both() -> None:
    table = RecordTable()
    table.replace([record("a", "x"), record("b", "y")])

    table.update({"a": record("a", "y"), "b": record("b", "x")})

    assert table.of_server_name("x") == record("b", "x")
    assert table.of_server_name("y") == record("a", "y")


def test_a_late_removal_leaves_the_names_new_owner() -> None:
    table = RecordTable()
    table.replace([record("a", "x")])

    table.update({"b": record("b", "x")})
    table.update({"a": None})

    assert table.of_server_name("x") == record("b", "x")


async def test_who_follows_the_table_hears_of_peers_that_changed() -> None:
    table = RecordTable()
    with table.followers.following() as changes:
        table.replace_peers({"west": "10.0.0.1:7233"})
        assert await changes.take() == set()

        table.replace_peers({"west": "10.0.0.1:7233"})
        table.replace([record("a", "x")])
        assert await changes.take() == {"x"}


async def test_every_name_that_changed_is_told_once() -> None:
    table = RecordTable()
    table.replace([record("a", "x"), record("b", "y")])
    with table.followers.following() as changes:
        table.replace([record("a", "x"), record("c", "z")])
        table.update({"a": record("a", "x2")})

        assert await changes.take() == {"x", "x2", "y", "z"}
