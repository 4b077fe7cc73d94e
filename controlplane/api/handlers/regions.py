"""GetRegions, GetRegion: where the fleet has cells that take namespaces."""

from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.api.cloud.cloudservice.v1 import (
    GetRegionRequest,
    GetRegionResponse,
    GetRegionsRequest,
    GetRegionsResponse,
)
from temporalio.api.cloud.region.v1 import Region

from cells.types import SYNTHETIC_RING, CellView, Provider
from controlplane.api.locations import LOCATIONS
from controlplane.errors import not_found
from controlplane.identity.types import Principal
from controlplane.store.directory import Directory

_PROVIDERS: dict[Provider, Region.CloudProvider.ValueType] = {
    Provider.AWS: Region.CLOUD_PROVIDER_AWS,
    Provider.GCP: Region.CLOUD_PROVIDER_GCP,
}


@dataclass(frozen=True)
class RegionHandlers:
    directory: Directory

    async def list(self, _: Principal, __: GetRegionsRequest) -> GetRegionsResponse:
        found = regions_of(await self.directory.cells())
        return GetRegionsResponse(regions=[_message(region, found[region]) for region in found])

    async def get(self, _: Principal, request: GetRegionRequest) -> GetRegionResponse:
        found = regions_of(await self.directory.cells())
        if request.region not in found:
            raise not_found(f"region {request.region!r} not found")
        return GetRegionResponse(region=_message(request.region, found[request.region]))


def regions_of(cells: Iterable[CellView]) -> dict[str, Provider]:
    """Return the regions that can hold namespaces, by id: synthetic cells do not count."""
    offered = {
        cell.spec.region: cell.spec.provider for cell in cells if cell.spec.ring != SYNTHETIC_RING
    }
    return dict(sorted(offered.items()))


def _message(region: str, provider: Provider) -> Region:
    return Region(
        id=region,
        cloud_provider=_PROVIDERS[provider],
        cloud_provider_deprecated=provider.value,
        cloud_provider_region=region.removeprefix(f"{provider.value}-"),
        location=LOCATIONS.get(region, ""),
    )
