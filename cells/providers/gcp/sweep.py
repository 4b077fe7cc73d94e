"""What is left in a cell's project, kind by kind.

The project is the cell's alone, so that whatever is there counts, with labels or without: not all
that GCP makes can have any. Lists are asked for instead of Google's inventory of assets, which is
behind them by minutes.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from controlplane.gcp.calls import Google
from controlplane.gcp.discovered import (
    cloudkms,
    compute,
    container,
    dns,
    secretmanager,
    sqladmin,
)
from controlplane.gcp.errors import Refused

_GONE_KEY = ("DESTROYED", "DESTROY_SCHEDULED")
"""Key rings and keys stay for ever; the versions that encrypt do not."""
_DEFAULT_NETWORK = "default"
"""What Google itself gives a new project, where no policy of the organisation forbids that."""


@dataclass(frozen=True)
class Sweep:
    """One look at one project, as somebody who may see all of it."""

    google: Google
    project: str
    region: str

    async def leftovers(self) -> Sequence[str]:
        """Return what costs money, holds data or stands in the way, as its console names it."""
        found = list[str]()
        for kind in (
            self._clusters,
            self._databases,
            self._forwarding_rules,
            self._service_attachments,
            self._instances,
            self._disks,
            self._addresses,
            self._networks,
            self._zones,
            self._secrets,
            self._keys,
        ):
            found += await _unless_switched_off(kind)
        return found

    async def _clusters(self) -> AsyncIterator[str]:
        answer = await self.google.ask(
            lambda: (
                container()
                .projects()
                .locations()
                .clusters()
                .list(parent=f"projects/{self.project}/locations/-")
            )
        )
        for cluster in answer.get("clusters", []):
            yield f"GKE cluster {cluster['name']} in {cluster.get('location')}"

    async def _databases(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: sqladmin().instances().list(project=self.project, pageToken=token)
        ):
            for instance in page.get("items", []):
                yield f"Cloud SQL instance {instance['name']} in {instance.get('region')}"

    async def _forwarding_rules(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: (
                compute().forwardingRules().aggregatedList(project=self.project, pageToken=token)
            )
        ):
            for place, scope in page.get("items", {}).items():
                for rule in scope.get("forwardingRules", []):
                    yield f"forwarding rule {rule['name']} in {place}"

    async def _service_attachments(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: (
                compute().serviceAttachments().aggregatedList(project=self.project, pageToken=token)
            )
        ):
            for place, scope in page.get("items", {}).items():
                for attachment in scope.get("serviceAttachments", []):
                    yield f"service attachment {attachment['name']} in {place}"

    async def _instances(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: (
                compute().instances().aggregatedList(project=self.project, pageToken=token)
            )
        ):
            for place, scope in page.get("items", {}).items():
                for instance in scope.get("instances", []):
                    yield f"virtual machine {instance['name']} in {place}"

    async def _disks(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: compute().disks().aggregatedList(project=self.project, pageToken=token)
        ):
            for place, scope in page.get("items", {}).items():
                for disk in scope.get("disks", []):
                    yield f"disk {disk['name']} in {place}"

    async def _addresses(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: (
                compute().addresses().aggregatedList(project=self.project, pageToken=token)
            )
        ):
            for place, scope in page.get("items", {}).items():
                for address in scope.get("addresses", []):
                    yield f"address {address['name']} in {place}"

    async def _networks(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: compute().networks().list(project=self.project, pageToken=token)
        ):
            for network in page.get("items", []):
                if network["name"] != _DEFAULT_NETWORK:
                    yield f"network {network['name']}"

    async def _zones(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: dns().managedZones().list(project=self.project, pageToken=token)
        ):
            for zone in page.get("managedZones", []):
                yield f"DNS zone {zone['name']} ({zone['dnsName']})"

    async def _secrets(self) -> AsyncIterator[str]:
        async for page in self.google.pages(
            lambda token: (
                secretmanager()
                .projects()
                .secrets()
                .list(parent=f"projects/{self.project}", pageToken=token)
            )
        ):
            for secret in page.get("secrets", []):
                yield f"secret {secret['name'].rpartition('/')[2]}"

    async def _keys(self) -> AsyncIterator[str]:
        rings = cloudkms().projects().locations().keyRings
        place = f"projects/{self.project}/locations/{self.region}"
        async for page in self.google.pages(
            lambda token: rings().list(parent=place, pageToken=token)
        ):
            for ring in page.get("keyRings", []):
                async for name in self._keys_of(ring["name"]):
                    yield name

    async def _keys_of(self, ring: str) -> AsyncIterator[str]:
        keys = cloudkms().projects().locations().keyRings().cryptoKeys
        async for page in self.google.pages(
            lambda token: keys().list(parent=ring, pageToken=token)
        ):
            for key in page.get("cryptoKeys", []):
                state = key.get("primary", {}).get("state")
                if state is not None and state not in _GONE_KEY:
                    yield f"key {key['name']} whose primary version is {state}"


async def _unless_switched_off(kind: Callable[[], AsyncIterator[str]]) -> list[str]:
    """Return what there is of a kind; of an API that is not enabled there is nothing."""
    try:
        return [each async for each in kind()]
    except Refused as refused:
        if refused.is_switched_off:
            return []
        raise
