import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cells.ingress.gatekeeper.key_table import AccountKeys, KeyTable
from cells.ingress.gatekeeper.snapshot import Snapshot
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.keys import KeyRow, SigningKeyRow
from cells.ingress.records import AdmissionRules, CertificateFilter, IngressRecord
from tests.cells.ingress.authorities import Authority

RULES = AdmissionRules(
    client_ca=Authority.create("tenant").pem,
    certificate_filters=(CertificateFilter(common_name="worker-*"),),
    api_keys=True,
    revoked_serials=("1f", "2a"),
    requests_per_second=7,
    active_cell="aws-us-west-2-c1",
    forward_polls=False,
)
RECORD = IngressRecord(
    namespace="orders.acme1",
    uid="u1",
    server_name="orders.acme1.fleet.test",
    admitted=True,
    rules=RULES,
    certificate_chain="PEM",
    sealed_key=b"\x00\xff sealed",
)
PEERS = {"aws-us-west-2-c1": "10.0.0.1:7233"}
KEY = KeyRow("key-1", datetime(2026, 1, 1, tzinfo=UTC), False, {"orders.acme1": "write"})
ACCOUNT = AccountKeys("acme1", 7, {"key-1": KEY})
SIGNING = SigningKeyRow("kid-1", {"kty": "EC", "crv": "P-256", "x": "…", "y": "…"})


class Gatekeeper:
    """What a gatekeeper has in memory, and its file."""

    def __init__(self, file: Path, cell: str = "c1") -> None:
        self.table, self.keys = RecordTable(), KeyTable()
        self.snapshot = Snapshot(file, cell, self.table, self.keys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "snapshot.json"


@pytest.fixture
def whole(file: Path) -> bytes:
    """A copy of everything there may be."""
    gatekeeper = Gatekeeper(file)
    gatekeeper.table.replace([RECORD])
    gatekeeper.table.replace_peers(PEERS)
    gatekeeper.keys.replace([SIGNING], [ACCOUNT])
    gatekeeper.snapshot.write()
    return file.read_bytes()


@pytest.mark.usefixtures("whole")
def test_everything_is_read_as_it_was_written(file: Path) -> None:
    restarted = Gatekeeper(file)

    assert restarted.snapshot.load()
    assert restarted.table.records() == [RECORD]
    assert restarted.table.peers == PEERS
    assert restarted.keys.accounts() == [ACCOUNT]
    assert restarted.keys.signing_keys() == [SIGNING]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("whole")
def test_what_was_withdrawn_before_or_during_a_restart_stays_withdrawn(file: Path) -> None:
    before = Gatekeeper(file)
    before.snapshot.load()
    successor = Authority.create("successor").pem
    before.table.update({RECORD.namespace: replace(RECORD, rules=AdmissionRules(successor))})
    before.snapshot.write()
    [withdrawn] = before.table.withdrawals.pairs()

    after = Gatekeeper(file)
    after.snapshot.load()
    assert list(after.table.withdrawals.pairs()) == [withdrawn]
    after.table.replace([replace(RECORD, rules=AdmissionRules())])
    assert len(list(after.table.withdrawals.pairs())) == 2


def test_a_copy_of_an_earlier_release_has_records_alone(file: Path) -> None:
    earlier = {
        **{name: value for name, value in asdict(RECORD).items() if name != "rules"},
        "client_ca": RULES.client_ca,
        "certificate_filters": [asdict(wanted) for wanted in RULES.certificate_filters],
        "sealed_key": "AP8gc2VhbGVk",
    }
    file.parent.mkdir()
    file.write_text(json.dumps({"cell": "c1", "records": [earlier]}))
    gatekeeper = Gatekeeper(file)

    assert gatekeeper.snapshot.load()

    rules = AdmissionRules(RULES.client_ca, RULES.certificate_filters)
    assert gatekeeper.table.records() == [replace(RECORD, rules=rules)]
    assert gatekeeper.table.peers == {}
    assert gatekeeper.keys.accounts() == []


def test_no_copy_is_no_records(file: Path) -> None:
    gatekeeper = Gatekeeper(file)

    assert not gatekeeper.snapshot.load()
    assert not gatekeeper.table.loaded


@pytest.mark.usefixtures("whole")
def test_another_cells_copy_is_not_used(file: Path) -> None:
    assert not Gatekeeper(file, "c2").snapshot.load()


def test_a_damaged_copy_is_not_used(file: Path, whole: bytes) -> None:
    for damaged in (
        b"",
        whole[:-9],
        b"[]",
        whole.replace(b"admitted", b"submitted"),
        whole.replace(b'"revoked_serials": ["1f"', b'"revoked_serials": [31'),
        whole.replace(b"everywhere", b"anywhere"),
        whole.replace(b'"10.0.0.1:7233"', b"7233"),
        whole.replace(b'"forward_polls": false', b'"forward_polls": 0'),
        whole.replace(b"2026-01-01", b"2026-13-01"),
    ):
        assert damaged != whole
        file.write_bytes(damaged)
        gatekeeper = Gatekeeper(file)

        assert not gatekeeper.snapshot.load()
        assert not gatekeeper.table.records()
        assert not gatekeeper.keys.accounts()
