"""A cell's copy of what verifies API keys: the port, and the adapter for real cells."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cells.ingress.keys import (
    KeyRow,
    SigningKeyRow,
    keys_service,
    write_keys,
    write_signing_keys,
)
from provisioning.connections import CellConnections
from provisioning.ports import CellDirectory

_ENFORCED_WITHIN = 5.0  # Seconds.
_ASK_AGAIN_AFTER = 0.1  # Seconds, when the gatekeeper broke off.
# Of its own accord a channel waits ever longer, up to two minutes, for a gatekeeper that was away.
_RECONNECT = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]


class CellKeys(Protocol):
    """Both methods can be repeated, and raise when the cell cannot be reached."""

    async def write(self, cell: str, account: str, revision: int, keys: Sequence[KeyRow]) -> None:
        """Let these be the account's keys, unless the cell has a later revision of them; return
        once its gatekeeper enforces this revision or a later one."""
        ...

    async def write_signing_keys(self, cell: str, keys: Sequence[SigningKeyRow]) -> None:
        """Let these be the signing keys in force, before any key that is written after them."""
        ...


class GatekeeperKeys:
    """Writes to the cells' databases and waits for their gatekeepers: `CellKeys`."""

    def __init__(
        self,
        directory: CellDirectory,
        connections: CellConnections,
        *,
        enforced_within: float = _ENFORCED_WITHIN,
    ) -> None:
        """Wait for a gatekeeper for up to `enforced_within` seconds."""
        self._directory = directory
        self._connections = connections
        self._enforced_within = enforced_within
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def close(self) -> None:
        """Close the connections to the gatekeepers."""
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()

    async def write(self, cell: str, account: str, revision: int, keys: Sequence[KeyRow]) -> None:
        async with self._connections.to(cell) as connection:
            await write_keys(connection, account, revision, keys)
        address = (await self._directory.locate(cell)).gatekeeper
        service = keys_service(account, revision)
        try:
            async with asyncio.timeout(self._enforced_within):
                await self._until_serving(address, service)
        except TimeoutError:
            raise TimeoutError(
                f"the gatekeeper of cell {cell} at {address} does not enforce {service} after "
                f"{self._enforced_within:g} s"
            ) from None

    async def write_signing_keys(self, cell: str, keys: Sequence[SigningKeyRow]) -> None:
        async with self._connections.to(cell) as connection:
            await write_signing_keys(connection, keys)

    async def _until_serving(self, address: str, service: str) -> None:
        """Return when the gatekeeper says so, however often it goes away before that."""
        stub = health_pb2_grpc.HealthStub(self._channel(address))
        request = health_pb2.HealthCheckRequest(service=service)
        while True:
            watch = stub.Watch(request, wait_for_ready=True)
            try:
                async for answer in watch:
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
            except grpc.aio.AioRpcError:
                pass  # It went away, or is too old to know the service: the time limit tells.
            finally:
                watch.cancel()
            await asyncio.sleep(_ASK_AGAIN_AFTER)

    def _channel(self, address: str) -> grpc.aio.Channel:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = grpc.aio.insecure_channel(
                address, options=_RECONNECT
            )
        return channel
