"""Which authorities a namespace is said to trust no longer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cells.ingress.gatekeeper.authorities import PEERS, authorities
from cells.ingress.gatekeeper.withdrawals import Withdrawals
from cells.ingress.records import AdmissionRules, IngressRecord
from tests.cells.ingress.authorities import Authority

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = Authority.create("old"), Authority.create("new")
[OLD_ID], [NEW_ID] = authorities(OLD.pem), authorities(NEW.pem)


def record(bundle: str, *, admitted: bool = True) -> IngressRecord:
    return IngressRecord(
        namespace="orders.acme1",
        uid="u1",
        server_name="orders.acme1.fleet.test",
        admitted=admitted,
        rules=AdmissionRules(client_ca=bundle),
        certificate_chain="",
        sealed_key=b"",
    )


def withdrawn(*records: IngressRecord | None) -> set[str]:
    """Return what is withdrawn after the record has been these, one after the other."""
    withdrawals, before = Withdrawals(), None
    for after in records:
        withdrawals.note(before, after, NOW)
        before = after
    assert {namespace for namespace, _ in withdrawals.pairs()} <= {"orders.acme1"}
    return {authority for _, authority in withdrawals.pairs()}


def test_a_closed_namespace_trusts_no_cell_either() -> None:
    closed = record(OLD.pem, admitted=False)

    assert withdrawn(record(OLD.pem), closed) == {OLD_ID, PEERS}
    assert withdrawn(record(OLD.pem), closed, record("")) == {OLD_ID}


def test_nothing_is_withdrawn_while_the_bundle_grows_or_stays() -> None:
    assert withdrawn(record(OLD.pem)) == set()
    assert withdrawn(record(OLD.pem), record(OLD.pem + NEW.pem)) == set()
    assert withdrawn(record(OLD.pem), replace(record(OLD.pem), uid="u2")) == set()


def test_what_leaves_the_bundle_is_withdrawn_until_it_returns() -> None:
    both = record(OLD.pem + NEW.pem)

    assert withdrawn(both, record(NEW.pem)) == {OLD_ID}
    assert withdrawn(both, record(NEW.pem), record("")) == {OLD_ID, NEW_ID}
    assert withdrawn(both, record(NEW.pem), both) == set()


def test_a_closed_namespace_trusts_nobody() -> None:
    closed = record(OLD.pem, admitted=False)

    assert withdrawn(record(OLD.pem), closed) == {OLD_ID, PEERS}
    assert withdrawn(record(OLD.pem), closed, record(OLD.pem)) == set()
    assert withdrawn(record(OLD.pem), closed, record(NEW.pem)) == {OLD_ID}


def test_a_record_that_is_gone_withdraws_nothing_and_forgives_nothing() -> None:
    assert withdrawn(record(OLD.pem), None) == set()
    assert withdrawn(record(OLD.pem), record(NEW.pem), None) == {OLD_ID}
    assert withdrawn(record(OLD.pem), record(NEW.pem), None, record(OLD.pem)) == set()


def test_a_renewed_certificate_of_the_same_authority_is_the_same_authority() -> None:
    renewed = Authority.create("old", key=OLD.private_key)
    assert renewed.pem != OLD.pem

    assert withdrawn(record(OLD.pem), record(renewed.pem)) == set()


def test_withdrawals_are_forgotten_when_no_connection_can_stem_from_before() -> None:
    withdrawals = Withdrawals()
    withdrawals.note(record(OLD.pem), record(NEW.pem), NOW)

    withdrawals.forget_old(NOW + timedelta(days=1))
    assert list(withdrawals.pairs()) == [("orders.acme1", OLD_ID)]
    withdrawals.forget_old(NOW + timedelta(days=2))
    assert withdrawals.kept() == {}
