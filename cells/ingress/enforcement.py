"""What a cell's gatekeeper enforces, waited for: by the name of the health service that says so."""

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_ENFORCED_WITHIN = 5.0  # Seconds.
_ASK_AGAIN_AFTER = 0.1  # Seconds, when the gatekeeper broke off.

# Of its own accord a channel waits ever longer, up to two minutes, for a gatekeeper that was away.
_RECONNECT = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]

_ENFORCED = health_pb2.HealthCheckResponse.SERVING
_LET_GO = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
"""Nothing in between will do: of several gatekeepers, some may and some may not."""


class Gatekeepers:
    """Waits for the gatekeepers of cells, and keeps a connection to each.

    The services are `cells.ingress.records.loaded_service` and `cells.ingress.keys.keys_service`.
    """

    def __init__(self, *, within: float = _ENFORCED_WITHIN) -> None:
        """Wait for a gatekeeper for up to `within` seconds each time."""
        self._within = within
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def close(self) -> None:
        """Close the connections."""
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()

    async def until_enforced(self, cell: str, address: str, service: str, called: str) -> None:
        """Return once the gatekeeper at the address enforces it; `called` is for the TimeoutError
        that is raised otherwise."""
        try:
            async with asyncio.timeout(self._within):
                await self._follow(address, service, enforced=True)
        except TimeoutError:
            raise self._late(cell, address, f"does not enforce {called}") from None

    async def until_let_go(self, cell: str, address: str, service: str, called: str) -> None:
        """Return once the gatekeeper at the address enforces it no longer."""
        try:
            async with asyncio.timeout(self._within):
                await self._follow(address, service, enforced=False)
        except TimeoutError:
            still = f"still enforces, or does not answer for, {called}"
            raise self._late(cell, address, still) from None

    def _late(self, cell: str, address: str, what: str) -> TimeoutError:
        return TimeoutError(
            f"the gatekeeper of cell {cell} at {address} {what} after {self._within:g} s"
        )

    async def _follow(self, address: str, service: str, *, enforced: bool) -> None:
        """Return when the gatekeeper says so, however often it goes away before that."""
        stub = health_pb2_grpc.HealthStub(self._channel(address))
        request = health_pb2.HealthCheckRequest(service=service)
        wanted = _ENFORCED if enforced else _LET_GO
        while True:
            watch = stub.Watch(request, wait_for_ready=True)
            try:
                async for answer in watch:
                    if answer.status == wanted:
                        return
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND and not enforced:
                    return
                # It went away, or is too old to know the service: the time limit tells.
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
