"""A world in memory that outlives the processes that act on it: its ports, served over a socket.

What crosses it is pickled: both ends are one test.
"""

import asyncio
import contextlib
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

from cells.client import CellClient
from cells.types import Reserve
from provisioning.ports import Incarnation
from provisioning.replicas.types import CopyProgress


@contextlib.asynccontextmanager
async def serving(ports: Mapping[str, object]) -> AsyncIterator[int]:
    """Serve the ports' methods, and yield where: a TCP port of this machine."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, method, arguments = pickle.loads(await reader.read())  # noqa: S301 - our own test's
        try:
            reply = (True, await getattr(ports[name], method)(*arguments))
        except Exception as error:  # noqa: BLE001 - raised at the other end
            reply = (False, error)
        # Whoever asked may be dead by now.
        with contextlib.suppress(ConnectionError):
            writer.write(pickle.dumps(reply))
            writer.write_eof()
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@dataclass(frozen=True)
class Served:
    """A port of the world, seen from another process."""

    name: str
    at: int

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.at)
            writer.write(pickle.dumps((self.name, method, arguments)))
            writer.write_eof()
            succeeded, reply = pickle.loads(await reader.read())  # noqa: S301 - our own test's
            writer.close()
            if not succeeded:
                raise reply
            return reply

        return call


@dataclass(frozen=True)
class ServedReplication(Served):
    async def copy(
        self, active: Incarnation, to: str, told: Callable[[CopyProgress], None]
    ) -> CopyProgress:
        progress: CopyProgress = await self.__getattr__("copy_whole")(active, to)
        told(progress)
        return progress


@dataclass(frozen=True)
class ServedFleet(Served):
    """Cells whose capacity is held by their entities, which are not part of the world."""

    temporal: Client

    async def reserve(self, cell: str, request: Reserve) -> None:
        await CellClient(self.temporal).reserve(cell, request)


@dataclass(frozen=True)
class CopiedWhole:
    """The world's end of it: what is told on the way does not cross."""

    replication: Any

    def __getattr__(self, method: str) -> Any:
        return getattr(self.replication, method)

    async def copy_whole(self, active: Incarnation, to: str) -> CopyProgress:
        copied: CopyProgress = await self.replication.copy(active, to, lambda _: None)
        return copied
