"""The zone on disk, after deaths at every moment."""

from pathlib import Path

import dns.name
import dns.update
import pytest

from controlplane.local.dns import storage as storage_module
from controlplane.local.dns.storage import ZoneStorage
from controlplane.local.dns.zone import Zone

ORIGIN = dns.name.from_text("fleet.test")


def lines(zone: Zone) -> list[str]:
    return sorted(zone.lines())


def reloaded(zone_file: Path) -> Zone:
    storage = ZoneStorage(zone_file)
    zone = storage.load(ORIGIN, "127.0.0.1")
    storage.close()
    return zone


async def changed(zone_file: Path, *names: str) -> Zone:
    """Add each name in an update of its own, durably, and leave as a killed process would."""
    storage = ZoneStorage(zone_file)
    zone = storage.load(ORIGIN, "127.0.0.1")
    for name in names:
        update = dns.update.UpdateMessage(ORIGIN)
        update.add(f"{name}.fleet.test.", 15, "A", "192.0.2.1")
        _, change = zone.update(update)
        assert change is not None
        storage.append(change)
        await storage.sync(zone)
    storage.close()
    return zone


async def test_a_new_zone_knows_its_name_server_and_is_kept(tmp_path: Path) -> None:
    zone = reloaded(tmp_path / "zone")

    assert any("ns.fleet.test. 60 IN A 127.0.0.1" in line for line in lines(zone))
    assert lines(reloaded(tmp_path / "zone")) == lines(zone)


async def test_a_name_server_may_have_an_ipv6_address(tmp_path: Path) -> None:
    storage = ZoneStorage(tmp_path / "zone")

    assert any("AAAA ::1" in line for line in storage.load(ORIGIN, "::1").lines())
    storage.close()


async def test_changes_outlive_the_process(tmp_path: Path) -> None:
    zone = await changed(tmp_path / "zone", "a", "b")

    assert lines(reloaded(tmp_path / "zone")) == lines(zone)


async def test_a_change_written_in_part_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    before = lines(await changed(tmp_path / "zone", "a"))
    reloaded(tmp_path / "zone")
    await changed(tmp_path / "zone", "b")
    whole = (tmp_path / "zone.journal").read_bytes()
    zone_file = (tmp_path / "zone").read_bytes()

    for length in range(0, len(whole) - 1, 5):
        (tmp_path / "zone").write_bytes(zone_file)
        (tmp_path / "zone.journal").write_bytes(whole[:length])
        assert lines(reloaded(tmp_path / "zone")) == before, length
        # And what comes after the torn end is not lost.
        added = await changed(tmp_path / "zone", "c")
        assert lines(reloaded(tmp_path / "zone")) == lines(added)


async def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    await changed(tmp_path / "zone", "a", "b")
    journal = tmp_path / "zone.journal"
    journal.write_bytes(b"x" + journal.read_bytes())

    storage = ZoneStorage(tmp_path / "zone")
    with pytest.raises(ValueError, match=r"line 1 of .*zone.journal is damaged: restore it"):
        storage.load(ORIGIN, "127.0.0.1")
    storage.close()


async def test_dying_between_zone_file_and_journal_brings_nothing_old_back(
    tmp_path: Path,
) -> None:
    await changed(tmp_path / "zone", "a", "b")
    journal = (tmp_path / "zone.journal").read_bytes()
    zone = await changed(tmp_path / "zone", "c")
    assert lines(reloaded(tmp_path / "zone")) == lines(zone)
    assert (tmp_path / "zone.journal").read_bytes() == b""

    (tmp_path / "zone.journal").write_bytes(journal)

    assert lines(reloaded(tmp_path / "zone")) == lines(zone)


async def test_a_long_journal_is_folded_into_the_zone_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "COMPACTED_AT_BYTES", 300)

    zone = await changed(tmp_path / "zone", *(f"n{number}" for number in range(20)))

    assert (tmp_path / "zone.journal").stat().st_size <= 300
    assert len((tmp_path / "zone").read_text().splitlines()) > 10
    assert lines(reloaded(tmp_path / "zone")) == lines(zone)
