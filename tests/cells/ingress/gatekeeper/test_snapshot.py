from pathlib import Path

from cells.ingress.gatekeeper.snapshot import read_snapshot, write_snapshot
from cells.ingress.records import CertificateFilter, IngressRecord

RECORD = IngressRecord(
    namespace="orders.acme1",
    uid="u1",
    server_name="orders.acme1.fleet.test",
    admitted=True,
    client_ca="PEM",
    certificate_filters=(CertificateFilter(common_name="worker-*"),),
    certificate_chain="PEM",
    sealed_key=b"\x00\xff sealed",
)


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "snapshot.json"

    write_snapshot(file, "c1", [RECORD])

    assert read_snapshot(file, "c1") == [RECORD]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_no_copy_is_no_records(tmp_path: Path) -> None:
    assert read_snapshot(tmp_path / "snapshot.json", "c1") is None


def test_another_cells_copy_is_not_used(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "snapshot.json", "c1", [RECORD])

    assert read_snapshot(tmp_path / "snapshot.json", "c2") is None


def test_a_damaged_copy_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "snapshot.json"
    write_snapshot(file, "c1", [RECORD])
    whole = file.read_bytes()

    for damaged in (b"", whole[:-9], b"[]", whole.replace(b"admitted", b"submitted")):
        file.write_bytes(damaged)
        assert read_snapshot(file, "c1") is None
