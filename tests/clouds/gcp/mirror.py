"""Has a real DNS server say what the stand-in's Cloud DNS zone says, a moment later."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from tests.clouds.gcp.world import Json, World
from tests.local.dns.running import Client


@contextlib.asynccontextmanager
async def mirrored(world: World, server: Client) -> AsyncIterator[None]:
    """Pass on each change in the order in which it was made, until the block ends."""
    changes = asyncio.Queue[tuple[Sequence[Json], Sequence[Json]] | None]()

    async def pass_on() -> None:
        while change := await changes.get():
            deletions, additions = change
            update = server.update()
            for records in deletions:
                update.delete(records["name"], records["type"])
            for records in additions:
                for data in records["rrdatas"]:
                    update.add(records["name"], records["ttl"], records["type"], data)
            await server.send(update)

    world.on_change = lambda *change: changes.put_nowait(change)
    passing = asyncio.create_task(pass_on())
    try:
        yield
    finally:
        world.on_change = None
        # Not cancelled: what the DNS library waits for may lose a cancellation.
        changes.put_nowait(None)
        await passing
