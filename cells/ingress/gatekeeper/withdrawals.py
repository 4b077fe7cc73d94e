"""Authorities that namespaces trusted a while ago and trust no longer.

A connection that such an authority vouched for may still be open. Nobody knows which are open, but
none is older than ConnectionLimits allow: after a day a withdrawal is of no interest. They are kept
with the records, so that a gatekeeper that was away finds out by comparing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from cells.ingress.gatekeeper.authorities import PEERS, authorities
from cells.ingress.records import LONGEST_CONNECTION, IngressRecord

_REMEMBERED = LONGEST_CONNECTION + timedelta(hours=1)


class Withdrawals:
    """By namespace, the authorities it trusts no longer, and since when."""

    def __init__(self) -> None:
        self._since: dict[str, dict[str, datetime]] = {}

    def note(self, old: IngressRecord | None, new: IngressRecord | None, now: datetime) -> None:
        """Take in a change of one namespace's record.

        A record that is simply gone withdraws nothing: whoever deletes a namespace closes it first,
        and a database that lost its rows must not cut every connection of the cell.
        """
        if new is None or (old is None and new.namespace not in self._since):
            return
        before, after = _trusted(old), _trusted(new)
        since = {**self._since.pop(new.namespace, {}), **dict.fromkeys(before, now)}
        if left := {authority: at for authority, at in since.items() if authority not in after}:
            self._since[new.namespace] = left

    def forget_old(self, now: datetime) -> None:
        """Forget what no open connection can stem from."""
        for namespace, since in self.kept().items():
            left = {authority: at for authority, at in since.items() if now - at < _REMEMBERED}
            if left:
                self._since[namespace] = left
            else:
                del self._since[namespace]

    def load(self, since: Mapping[str, Mapping[str, datetime]]) -> None:
        """Begin with what was kept."""
        self._since = {namespace: dict(kept) for namespace, kept in since.items()}

    def kept(self) -> dict[str, dict[str, datetime]]:
        return {namespace: dict(since) for namespace, since in self._since.items()}

    def pairs(self) -> Iterable[tuple[str, str]]:
        """Return each namespace and authority that no longer belong together."""
        return (
            (namespace, authority)
            for namespace, since in self._since.items()
            for authority in since
        )


def _trusted(record: IngressRecord | None) -> frozenset[str]:
    if record is None or not record.admitted:
        return frozenset()
    return authorities(record.rules.client_ca) | {PEERS}
