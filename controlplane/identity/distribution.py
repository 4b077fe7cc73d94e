"""Brings accounts' API keys to the cells that have their namespaces.

What an account's keys may do changes here first, with a revision; each cell that has the account
is then written to until its gatekeeper enforces that revision. A change is FULFILLED when all do.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection

from cells.ingress.keys import SigningKeyRow
from controlplane.identity.cell_keys import CellKeys
from controlplane.identity.outbox import Outbox
from controlplane.identity.signing_keys import Signer
from controlplane.store.pool import Pool

AT_ONCE = 8
LOOK_EVERY = 1.0
"""Seconds, when nothing is heard: errands that failed come due again unannounced."""
LOOK_AT_CELLS_EVERY = 5.0
"""Seconds: a cell that has joined is found without being announced."""
PRUNE_EVERY = 300.0  # Seconds.
PAUSE_AFTER_FAILURE = 2.0
"""Seconds, when PostgreSQL did not answer or nobody has made the signing key yet."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyDistribution:
    """Implements `provisioning.ports.AccountKeys`; `run` follows what changes."""

    pool: Pool
    signer: Signer
    cells: CellKeys
    outbox: Outbox
    conninfo: str = field(repr=False)
    """Of the pool's database, for a connection that listens."""

    async def ensure(self, cell: str, account: str) -> None:
        """Return once the cell's gatekeeper enforces the account's keys as they are now.

        From the first line on, whoever changes the account's access has this cell on the list; what
        was changed before that is in the snapshot. Of two writers, the later revision stays.
        """
        await self.outbox.need(cell, account)
        await self._bring(cell, account)

    async def run(self) -> None:
        """Tell the cells of every change, for ever."""
        while True:
            try:
                await self._follow()
            except* (psycopg.OperationalError, LookupError) as lost:
                _logger.warning("the distribution of API keys begins anew: %s", lost.exceptions[0])
            await asyncio.sleep(PAUSE_AFTER_FAILURE)

    async def _follow(self) -> None:
        wake, clock = asyncio.Event(), asyncio.get_running_loop()
        at_work: set[asyncio.Task[None]] = set()
        look_at_cells = prune_at = clock.time()

        def finished(task: asyncio.Task[None]) -> None:
            at_work.discard(task)
            wake.set()

        def begin(errand: Coroutine[None, None, None]) -> None:
            task = tasks.create_task(errand)
            at_work.add(task)
            task.add_done_callback(finished)

        async with asyncio.TaskGroup() as tasks:
            listening = asyncio.Event()
            tasks.create_task(self._listen(listening, wake))
            await listening.wait()
            while True:
                wake.clear()
                if await self._signing_keys_changed() or clock.time() >= look_at_cells:
                    for cell in await self.outbox.take_cells(fingerprint_of(self._public())):
                        begin(self._tell_of_signing_keys(cell))
                    look_at_cells = clock.time() + LOOK_AT_CELLS_EVERY
                most = max(AT_ONCE - len(at_work), 0)
                for cell, account in await self.outbox.take_accounts(most):
                    begin(self._tell_of_account(cell, account))
                await self.outbox.settle()
                if clock.time() >= prune_at:
                    await self.outbox.prune()
                    prune_at = clock.time() + PRUNE_EVERY
                # Not `wait_for`: before Python 3.12 it loses a cancellation that comes as it wakes.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await wake.wait()

    async def _listen(self, listening: asyncio.Event, wake: asyncio.Event) -> None:
        async with await AsyncConnection.connect(self.conninfo, autocommit=True) as connection:
            await connection.execute("LISTEN access")
            listening.set()
            async for _ in connection.notifies():
                wake.set()

    async def _signing_keys_changed(self) -> bool:
        async with self.pool.connection() as connection:
            return await self.signer.refresh(connection)

    async def _tell_of_account(self, cell: str, account: str) -> None:
        try:
            await self._bring(cell, account)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            _logger.warning("cell %s has not heard of account %s: %s", cell, account, error)
            await self.outbox.postpone(cell, account, error)

    async def _tell_of_signing_keys(self, cell: str) -> None:
        try:
            await self._bring_signing_keys(cell)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            _logger.warning("cell %s does not have the signing keys: %s", cell, error)
            await self.outbox.postpone_signing_keys(cell, error)

    async def _bring(self, cell: str, account: str) -> None:
        await self._signing_keys_changed()
        if not await self.outbox.has_signing_keys(cell, fingerprint_of(self._public())):
            await self._bring_signing_keys(cell)
        revision, keys = await self.outbox.snapshot(account)
        await self.cells.write(cell, account, revision, keys)
        await self.outbox.written(cell, account, revision)

    async def _bring_signing_keys(self, cell: str) -> None:
        keys = self._public()
        await self.cells.write_signing_keys(cell, keys)
        await self.outbox.signing_keys_written(cell, fingerprint_of(keys))

    def _public(self) -> list[SigningKeyRow]:
        return [SigningKeyRow(jwk["kid"], jwk) for jwk in self.signer.ring.jwks]


def fingerprint_of(keys: Sequence[SigningKeyRow]) -> str:
    """Return what two sets of signing keys share if they are the same."""
    return hashlib.sha256(" ".join(sorted(key.kid for key in keys)).encode()).hexdigest()
