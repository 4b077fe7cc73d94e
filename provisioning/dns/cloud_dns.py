"""Names published in a zone of Cloud DNS, and checked with its authoritative servers.

Cloud DNS carries out a change as a whole or not at all, and deletes only what is exactly as the
change says.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.gcp.calls import Google
from controlplane.gcp.discovered import dns as cloud_dns
from controlplane.gcp.errors import Refused, Status
from controlplane.gcp.waiting import until
from provisioning.dns.authority import DEFAULT_PATIENCE, Authority
from provisioning.dns.record_sets import RecordSet, RecordSetDns, strings

if TYPE_CHECKING:
    from googleapiclient._apis.dns.v1.schemas import ResourceRecordSet

_PROPAGATION = timedelta(minutes=5)
"""Cloud DNS has told all of its servers within seconds, usually."""
_LOST_A_RACE = (Status.ALREADY_EXISTS, Status.NOT_FOUND, Status.ABORTED, Status.FAILED_PRECONDITION)
"""To add what is there already; to delete what is not there, or not as it was said to be."""


class CloudDns(RecordSetDns):
    """The fleet's zone; adapter of `provisioning.ports.Dns`."""

    def __init__(
        self,
        zone: str,
        project: str,
        managed_zone: str,
        servers: tuple[str, ...],
        google: Google,
        patience: timedelta = DEFAULT_PATIENCE,
    ) -> None:
        """`managed_zone` is Google's name of the zone; `servers` are its authoritative ones, each
        `ip:port`."""
        super().__init__(Authority.parse(zone, servers, patience))
        self._project = project
        self._managed_zone = managed_zone
        self._google = google

    def _note(self, name: str, uid: str, ttl: int, following: Sequence[RecordSet]) -> RecordSet:
        """Count the changes beside the uid: what is deleted and added again must differ."""
        changes = max((_changes(note) for note in following), default=0)
        return RecordSet(name, "TXT", ttl, (f'"{uid}" "{changes + 1}"',))

    async def _at(self, name: str) -> list[RecordSet]:
        """Return what Cloud DNS has at exactly this name."""
        return [
            RecordSet(
                found["name"], found["type"], found.get("ttl", 0), tuple(found.get("rrdatas", ()))
            )
            async for page in self._google.pages(
                lambda token: (
                    cloud_dns()
                    .resourceRecordSets()
                    .list(
                        project=self._project,
                        managedZone=self._managed_zone,
                        name=name,
                        pageToken=token,
                    )
                )
            )
            for found in page.get("rrsets", [])
        ]

    async def _changed(
        self, deletions: Sequence[RecordSet], additions: Sequence[RecordSet]
    ) -> bool:
        """Tell whether the change was carried out; it was not when the zone is another by now."""
        changes = cloud_dns().changes
        where = {"project": self._project, "managedZone": self._managed_zone}
        try:
            change = await self._google.ask(
                lambda: changes().create(
                    **where,
                    body={
                        "deletions": [_body(one) for one in deletions],
                        "additions": [_body(one) for one in additions],
                    },
                )
            )
        except Refused as refused:
            if refused.status in _LOST_A_RACE and await self._zone_is_there():
                return False
            raise

        async def look() -> bool | None:
            found = await self._google.ask(lambda: changes().get(**where, changeId=change["id"]))
            return True if found.get("status") == "done" else None

        await until(look, f"change {change['id']} of zone {self._managed_zone}", _PROPAGATION)
        return True

    async def _zone_is_there(self) -> bool:
        """Return whether it is; raise what says that it is not."""
        await self._google.ask(
            lambda: (
                cloud_dns()
                .managedZones()
                .get(project=self._project, managedZone=self._managed_zone)
            )
        )
        return True


def _changes(note: RecordSet) -> int:
    said = strings(note)
    return int(said[1]) if len(said) > 1 and said[1].isdecimal() else 0


def _body(records: RecordSet) -> "ResourceRecordSet":
    return {
        "name": records.name,
        "type": records.type,
        "ttl": records.ttl,
        "rrdatas": list(records.values),
    }
