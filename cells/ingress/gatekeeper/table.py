"""The records as the gatekeeper enforces them now, in memory."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from cells.ingress.records import IngressRecord


class Changes:
    """The server names whose records changed since they were last taken: none is missed."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._some = asyncio.Event()

    def add(self, names: Iterable[str]) -> None:
        self._names.update(names)
        self._some.set()

    async def take(self) -> set[str]:
        """Return them, waiting for the first."""
        await self._some.wait()
        self._some.clear()
        names, self._names = self._names, set()
        return names


class RecordTable:
    """Records by namespace and by server name, and a way to follow their changes."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, IngressRecord] = {}
        self._by_server_name: dict[str, IngressRecord] = {}
        self._followers: set[Changes] = set()
        self.loaded = False
        """Whether records were ever put in, from the database or from a snapshot."""

    @contextmanager
    def following(self) -> Iterator[Changes]:
        """Collect the changes from here on."""
        changes = Changes()
        self._followers.add(changes)
        try:
            yield changes
        finally:
            self._followers.remove(changes)

    def records(self) -> list[IngressRecord]:
        return list(self._by_namespace.values())

    def of_namespace(self, namespace: str) -> IngressRecord | None:
        return self._by_namespace.get(namespace)

    def of_server_name(self, server_name: str) -> IngressRecord | None:
        return self._by_server_name.get(server_name)

    def replace(self, records: Iterable[IngressRecord]) -> None:
        """Enforce exactly these."""
        wanted = {record.namespace: record for record in records}
        gone = {namespace: None for namespace in self._by_namespace if namespace not in wanted}
        self.update({**gone, **wanted})

    def update(self, changes: Mapping[str, IngressRecord | None]) -> None:
        """Enforce these from now on; None forgets a namespace."""
        changed = set()
        differing = {
            namespace: record
            for namespace, record in changes.items()
            if self._by_namespace.get(namespace) != record
        }
        # First all removals: two records may have swapped their names.
        for namespace in differing:
            old = self._by_namespace.pop(namespace, None)
            if old is not None:
                changed.add(old.server_name)
                if self._by_server_name.get(old.server_name) is old:
                    del self._by_server_name[old.server_name]
        for namespace, record in differing.items():
            if record is not None:
                self._by_namespace[namespace] = record
                self._by_server_name[record.server_name] = record
                changed.add(record.server_name)
        if changed or not self.loaded:
            self.loaded = True
            for follower in self._followers:
                follower.add(changed)
