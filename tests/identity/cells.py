"""Keys brought to cells in memory, the way a worker brings them to real ones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controlplane.identity.distribution import KeyDistribution
from controlplane.identity.memory import MemoryCellKeys
from controlplane.identity.outbox import Outbox
from controlplane.identity.signing_keys import Signer
from controlplane.store.pool import Pool
from tests.store.views import REGION


def distribution_to(cells: MemoryCellKeys, pool: Pool, signer: Signer) -> KeyDistribution:
    conninfo = pool.conninfo
    assert isinstance(conninfo, str)
    return KeyDistribution(pool, signer, cells, Outbox(pool, [REGION]), conninfo)


@asynccontextmanager
async def running(distribution: KeyDistribution) -> AsyncIterator[None]:
    """Follow what changes until the block ends."""
    task = asyncio.create_task(distribution.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
