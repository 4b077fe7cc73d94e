"""Replication between cells, through the OperatorService of their Temporal services."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from temporalio.api.operatorservice.v1 import (
    AddOrUpdateRemoteClusterRequest,
    ClusterMetadata,
    ListClustersRequest,
)
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from cells.replication.beats import Way
from cells.replication.ports import KnownCells
from cells.replication.rules import address_for, obstacle, shards_obstacle
from cells.replication.types import Link, LinkHealth
from cells.types import CellView
from controlplane.errors import failed_precondition, not_found, rejected

HEARD_WITHIN = timedelta(seconds=75)
"""How long two cells that were just joined may take until they hear each other: a service reads
once a minute, unless it is told otherwise, with whom it is joined."""
ARRIVES_WITHIN = timedelta(seconds=10)
"""How long a beat may take before it counts as late."""

_LOOK_EVERY_SECONDS = 0.25
_CALL = timedelta(seconds=3)
_JOINING_CALL = timedelta(seconds=10)
"""A service that is to join a peer asks the peer first."""
_HOPELESS = {
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNIMPLEMENTED,
}


class OperatorServiceLinks:
    """Meets `cells.replication.ports.CellLinks`.

    Dead letters, and streams of single shards that are stuck, are not seen from here: a service
    tells of them by its metrics alone.
    """

    def __init__(
        self,
        fleet: KnownCells,
        *,
        heard_within: timedelta = HEARD_WITHIN,
        arrives_within: timedelta = ARRIVES_WITHIN,
    ) -> None:
        self._fleet = fleet
        self._heard_within = heard_within
        self._arrives_within = arrives_within
        self._clients: dict[str, Client] = {}

    async def join(self, cell: str, peer: str) -> None:
        one, other = await self._view(cell), await self._view(peer)
        if wrong := obstacle(one, other):
            raise rejected(wrong)
        shards = [(await self._known_by(view))[0].history_shard_count for view in (one, other)]
        if wrong := shards_obstacle(cell, shards[0], peer, shards[1]):
            raise rejected(wrong)
        await self._connect(one, other)
        await self._connect(other, one)
        await asyncio.gather(self._until_heard(one, other), self._until_heard(other, one))

    async def links(self, cell: str) -> tuple[Link, ...]:
        fleet = {view.spec.failover_version: view for view in await self._fleet.cells()}
        _own, *others = await self._known_by(await self._view(cell))
        return tuple(
            _link(cell, other, fleet[other.initial_failover_version])
            for other in others
            if other.initial_failover_version in fleet
        )

    async def health(self, cell: str, peer: str) -> LinkHealth:
        return await self._health(await self._view(cell), await self._view(peer))

    async def cluster_name(self, cell: str, of: str) -> str:
        here, there = await self._view(cell), await self._view(of)
        for known in await self._known_by(here):
            if known.initial_failover_version == there.spec.failover_version:
                return known.cluster_name
        raise failed_precondition(
            f"the Temporal service of cell {cell} does not know {of}: the two are not joined"
        )

    async def _view(self, cell: str) -> CellView:
        for view in await self._fleet.cells():
            if view.id == cell:
                return view
        raise not_found(f"cell {cell} is not part of the fleet")

    async def _client(self, view: CellView) -> Client:
        address = view.spec.addresses.frontend
        client = self._clients.get(address)
        if client is None:
            client = await Client.connect(address, lazy=True, identity="controlplane")
            self._clients[address] = client
        return client

    async def _known_by(self, view: CellView) -> list[ClusterMetadata]:
        """Return every cluster that the cell's service knows, its own first."""
        client = await self._client(view)
        known: list[ClusterMetadata] = []
        page = b""
        with _asked(view.id, "say which cells it knows"):
            while page or not known:
                answer = await client.operator_service.list_clusters(
                    ListClustersRequest(next_page_token=page), timeout=_CALL
                )
                known += answer.clusters
                page = answer.next_page_token
        own = [c for c in known if c.initial_failover_version == view.spec.failover_version]
        if not own:
            versions = ", ".join(str(c.initial_failover_version) for c in known)
            raise rejected(
                f"cell {view.id} has the initial failover version {view.spec.failover_version} on "
                f"record, and its Temporal service knows {versions}: register the cell with its own"
            )
        return [*own, *(cluster for cluster in known if cluster is not own[0])]

    async def _connect(self, puller: CellView, source: CellView) -> None:
        """Tell a cell's service to pull from another, unless it does so already."""
        address = address_for(puller.id, source.spec)
        found = _find(await self._known_by(puller), source)
        if found is not None and found.is_connection_enabled and found.address == address:
            return
        client = await self._client(puller)
        with _asked(puller.id, f"pull from {source.id} at {address}"):
            await client.operator_service.add_or_update_remote_cluster(
                AddOrUpdateRemoteClusterRequest(
                    frontend_address=address,
                    enable_remote_cluster_connection=True,
                    enable_replication=True,
                ),
                timeout=_JOINING_CALL,
            )
        if _find(await self._known_by(puller), source) is None:
            raise rejected(
                f"at {address} answers another Temporal service than that of cell {source.id}, "
                f"whose initial failover version is {source.spec.failover_version}"
            )

    async def _until_heard(self, puller: CellView, source: CellView) -> None:
        deadline = asyncio.get_running_loop().time() + self._heard_within.total_seconds()
        while not (found := await self._health(puller, source)).is_healthy:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(
                    f"cell {puller.id} was told to pull from {source.id}, and nothing arrives: "
                    f"{'; '.join(found.problems)}"
                )
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def _health(self, puller: CellView, source: CellView) -> LinkHealth:
        def found(lag: timedelta | None, *problems: str) -> LinkHealth:
            return LinkHealth(puller.id, source.id, datetime.now(UTC), lag, problems)

        try:
            link = _find(await self._known_by(puller), source)
        except (ConnectionError, ApplicationError) as error:
            return found(None, str(error))
        if link is None:
            return found(None, f"cells {puller.id} and {source.id} are not joined")
        flaws = [*_flaws(puller, source, link)]
        way = Way(source.id, await self._client(source), puller.id, await self._client(puller))
        try:
            own, *others = await self._known_by(source)
        except (ConnectionError, ApplicationError) as error:
            return found(await way.since_latest(), *flaws, str(error))
        back = _find(others, puller)
        if back is None:
            return found(None, *flaws, f"cells {puller.id} and {source.id} are not joined")
        beaten = await way.beat((own.cluster_name, back.cluster_name), self._arrives_within)
        return found(beaten.lag, *flaws, *filter(None, [beaten.problem]))


def _find(known: Iterable[ClusterMetadata], cell: CellView) -> ClusterMetadata | None:
    version = cell.spec.failover_version
    return next((found for found in known if found.initial_failover_version == version), None)


def _link(cell: str, found: ClusterMetadata, peer: CellView) -> Link:
    return Link(
        cell,
        peer.id,
        is_open=found.is_connection_enabled,
        name=found.cluster_name,
        is_current=found.address == address_for(cell, peer.spec),
    )


def _flaws(puller: CellView, source: CellView, link: ClusterMetadata) -> Iterator[str]:
    address = address_for(puller.id, source.spec)
    if not link.is_connection_enabled:
        yield f"cell {puller.id} is told not to pull from {source.id}: join them again"
    if link.address != address:
        yield (
            f"cell {puller.id} pulls from {source.id} at {link.address}, which is at {address} "
            f"now: join them again"
        )


@contextlib.contextmanager
def _asked(cell: str, attempt: str) -> Iterator[None]:
    """Turn what a Temporal service answers into what callers act on."""
    try:
        yield
    except RPCError as error:
        message = f"cell {cell} cannot {attempt}: {error.message}"
        if error.status in _HOPELESS:
            raise rejected(message) from error
        raise ConnectionError(message) from error
    except RuntimeError as error:
        # What the SDK raises instead when it has not been connected yet.
        raise ConnectionError(f"cell {cell} cannot {attempt}: {error}") from error
