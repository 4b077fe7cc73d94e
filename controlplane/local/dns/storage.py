"""The zone on disk: a zone file and, beside it, a journal of the changes since."""

import asyncio
import contextlib
import fcntl
import os
from pathlib import Path

import dns.name
from dns.serial import Serial

from controlplane.local.dns.zone import Change, Zone
from controlplane.secrets import private_file

COMPACTED_AT_BYTES = 4 * 1024 * 1024
"""When the journal is this long, the zone file is written anew and the journal begins again."""


class ZoneStorage:
    """Keeps one zone; changes become durable in groups, one write for all that wait meanwhile."""

    def __init__(self, zone_file: Path) -> None:
        """Open the files; raise RuntimeError if another process has them."""
        zone_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._zone_file = zone_file
        self._journal = zone_file.with_name(f"{zone_file.name}.journal").open("ab")
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._journal.close()
            raise RuntimeError(f"another DNS server is serving {zone_file}: stop it") from None
        self._writing = asyncio.Lock()
        self._waiting: list[str] = []
        self._appended = 0
        self._durable = 0

    def load(self, origin: dns.name.Name, address: str) -> Zone:
        """Return the zone as it was last known to anybody, or a new one served at `address`."""
        with contextlib.suppress(FileNotFoundError):
            zone = Zone(self._zone_file.read_text(), origin)
            if self._replay(zone):
                self._compact(zone)
            return zone
        zone = Zone.new(origin, address)
        self._compact(zone)
        return zone

    def append(self, change: Change) -> None:
        """Note a change, to be written by the next `sync`."""
        self._waiting.append(change.to_json() + "\n")
        self._appended += 1

    async def sync(self, zone: Zone) -> None:
        """Return once every change appended so far would survive a power cut."""
        wanted = self._appended
        async with self._writing:
            if self._durable >= wanted:
                return
            lines, appended = self._waiting, self._appended
            self._waiting = []
            await asyncio.to_thread(self._write, lines)
            self._durable = appended
            if self._journal.tell() > COMPACTED_AT_BYTES:
                await asyncio.to_thread(self._compact, zone)

    def close(self) -> None:
        self._journal.close()

    def _replay(self, zone: Zone) -> bool:
        """Apply the journal; return whether there was anything in it."""
        lines = Path(self._journal.name).read_text(errors="replace").splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            try:
                change = Change.from_json(line)
            except ValueError:
                if number == len(lines):
                    break  # Written in part when the server died: nobody was told of it.
                raise ValueError(
                    f"line {number} of {self._journal.name} is damaged: restore it and "
                    f"{self._zone_file} from a backup, or remove both to begin an empty zone"
                ) from None
            # What is older was in the zone file already when the server died.
            if Serial(change.serial) > Serial(zone.serial):
                zone.replay(change)
        return bool(lines)

    def _write(self, lines: list[str]) -> None:
        self._journal.write("".join(lines).encode())
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _compact(self, zone: Zone) -> None:
        private_file.replace(self._zone_file, "".join(zone.lines()).encode())
        # Dying here leaves a journal of changes that the zone file has: they are passed over.
        self._journal.truncate(0)
        os.fsync(self._journal.fileno())
