"""The records as the gatekeeper enforces them now, in memory."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from cells.ingress.gatekeeper.changes import Followers
from cells.ingress.gatekeeper.withdrawals import Withdrawals
from cells.ingress.records import IngressRecord


class RecordTable:
    """Records by namespace and by server name, peers, and a way to follow their changes."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, IngressRecord] = {}
        self._by_server_name: dict[str, IngressRecord] = {}
        self.followers = Followers()
        """They are told the server names whose records changed."""
        self.withdrawals = Withdrawals()
        self.peers: Mapping[str, str] = {}
        """The ingresses (`host:port`) of other cells, by their ids."""
        self.loaded = False
        """Whether records were ever put in, from the database or from a snapshot."""

    def records(self) -> list[IngressRecord]:
        return list(self._by_namespace.values())

    def of_namespace(self, namespace: str) -> IngressRecord | None:
        return self._by_namespace.get(namespace)

    def of_server_name(self, server_name: str) -> IngressRecord | None:
        return self._by_server_name.get(server_name)

    def replace_peers(self, peers: Mapping[str, str]) -> None:
        """Know exactly these."""
        if peers != self.peers:
            self.peers = dict(peers)
            self.followers.tell(())

    def replace(self, records: Iterable[IngressRecord]) -> None:
        """Enforce exactly these."""
        self.withdrawals.forget_old(datetime.now(UTC))
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
        now = datetime.now(UTC)
        # First all removals: two records may have swapped their names.
        for namespace, record in differing.items():
            old = self._by_namespace.pop(namespace, None)
            self.withdrawals.note(old, record, now)
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
            self.followers.tell(changed)
