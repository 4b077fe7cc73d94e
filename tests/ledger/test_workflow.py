"""The ledger through its client: a real engine, real workers, many who ask at once."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from cells.ledger.client import LedgerClient
from cells.ledger.types import LEDGER_ID, Fence, GiveBack, LedgerView
from cells.ledger.workflow import PUBLISH_FOR
from tests.engine import fresh_namespace
from tests.eventually import eventually
from tests.ledger.leases import asking, violations
from tests.ledger.running import (
    RunningLedger,
    assert_the_ledger_replays,
    histories,
    keeping_the_ledger,
)


async def test_the_first_question_begins_the_ledger(ledger: RunningLedger) -> None:
    assert await ledger.client.leases() == {}

    answer = await ledger.client.acquire(asking("c1", namespaces=["orders.acme1"]))

    assert answer.granted
    (lease,) = (await ledger.client.leases()).values()
    assert (lease.cell, lease.holder, lease.number) == ("c1", "rollout/r1", answer.lease)


async def test_the_second_cell_of_a_namespace_is_refused_until_the_first_is_given_back(
    ledger: RunningLedger,
) -> None:
    await ledger.client.acquire(asking("c1", namespaces=["orders.acme1"]))

    refused = await ledger.client.acquire(
        asking("c2", "migration/m1", namespaces=["orders.acme1", "other.acme1"])
    )
    assert [str(conflict) for conflict in refused.conflicts] == [
        "pair:orders.acme1: c1 is disturbed by rollout/r1"
    ]

    await ledger.client.give_back(GiveBack("c1", "rollout/r1"))
    again = await ledger.client.acquire(asking("c2", "migration/m1", namespaces=["orders.acme1"]))
    assert again.granted


async def test_of_many_who_ask_at_once_one_gets_the_cell(ledger: RunningLedger) -> None:
    answers = await asyncio.gather(
        *(LedgerClient(ledger.temporal).acquire(asking("c1", f"drill/{n}")) for n in range(40))
    )

    (winner,) = [n for n, answer in enumerate(answers) if answer.granted]
    told = {str(conflict) for answer in answers for conflict in answer.conflicts}
    assert told == {f"drill/{winner} is at c1"}


async def test_a_question_that_can_never_be_granted_is_refused_as_wrong(
    ledger: RunningLedger,
) -> None:
    with pytest.raises(ApplicationError, match="the cap of region/r is 0: at least 1") as refused:
        await ledger.client.acquire(asking("c1", caps={"region/r": 0}))

    assert refused.value.type == "InvalidArgument"
    assert await ledger.client.leases() == {}


async def test_fencing_takes_the_lease_of_the_holder_that_was_meant_and_is_remembered(
    ledger: RunningLedger,
) -> None:
    await ledger.client.acquire(asking("c1", "rollout/dead"))
    fence = Fence("c1", "rollout/dead", by="sre@acme", reason="its worker was destroyed")

    fenced = await ledger.client.fence(fence)
    assert fenced is not None
    assert (fenced.holder, fenced.by) == ("rollout/dead", "sre@acme")

    await ledger.client.acquire(asking("c1", "rollout/next"))
    assert await ledger.client.fence(fence) is None, "it came late, and means nobody any more"
    assert [lease.holder for lease in (await ledger.client.leases()).values()] == ["rollout/next"]


async def test_nobody_fences_without_a_name_and_a_reason(ledger: RunningLedger) -> None:
    await ledger.client.acquire(asking("c1"))

    with pytest.raises(ApplicationError, match="needs somebody who answers for it, and a reason"):
        await ledger.client.fence(Fence("c1", "rollout/r1", by="sre", reason=""))

    assert list(await ledger.client.leases()) == ["c1"]


async def test_published_views_follow_the_ledger(ledger: RunningLedger) -> None:
    await ledger.client.acquire(asking("c2", namespaces=["a.acme1", "b.acme1"], caps={"fleet": 9}))
    await ledger.client.acquire(asking("c1", "drill/d1"))
    await ledger.client.acquire(asking("c3", "drill/d1"))
    await ledger.client.fence(Fence("c3", "drill/d1", "sre", "gone"))

    async def published() -> bool:
        view = ledger.projection.view
        return view is not None and len(view.leases) == 2 and len(view.fenced) == 1

    await eventually(published)
    view = ledger.projection.view
    assert view is not None
    assert [(lease.cell, lease.namespaces) for lease in view.leases] == [("c1", 0), ("c2", 2)]
    assert [fenced.cell for fenced in view.fenced] == ["c3"]

    await ledger.client.give_back(GiveBack("c1", "drill/d1"))

    async def given_back() -> bool:
        view = ledger.projection.view
        return view is not None and [lease.cell for lease in view.leases] == ["c2"]

    await eventually(given_back)


async def test_a_ledger_begun_anew_numbers_on(ledger: RunningLedger) -> None:
    before = await ledger.client.acquire(asking("c1"))
    await ledger.temporal.get_workflow_handle(LEDGER_ID).terminate("its history was damaged")

    after = await ledger.client.acquire(asking("c1"))
    assert after.lease > before.lease
    await ledger.client.give_back(GiveBack("c1", "rollout/r1", before.lease))
    assert list(await ledger.client.leases()) == ["c1"], "that was a late call"

    async def published() -> bool:
        view = ledger.projection.view
        return view is not None and [each.number for each in view.leases] == [after.lease]

    await eventually(published)


@dataclass
class DeadStore:
    """A projection that cannot be reached until it is mended."""

    tried: int = 0
    mended: bool = False
    views: list[LedgerView] = field(default_factory=list)

    async def publish_ledger(self, view: LedgerView) -> None:
        self.tried += 1
        if not self.mended:
            raise ConnectionError("the store is down")
        self.views.append(view)


async def test_leases_outlive_a_projection_that_is_down_for_long_and_nobody_waits_for_it(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    store = DeadStore()
    async with keeping_the_ledger(engine_in_skipped_time.client, store) as ledger:
        for n in range(3):
            assert (await ledger.client.acquire(asking(f"c{n}"))).granted

        await engine_in_skipped_time.sleep(PUBLISH_FOR * 3)

        assert store.tried > 3
        assert list(await ledger.client.leases()) == ["c0", "c1", "c2"]
        store.mended = True
        await engine_in_skipped_time.sleep(PUBLISH_FOR)
        assert [lease.cell for lease in store.views[-1].leases] == ["c0", "c1", "c2"]


async def test_leases_survive_continue_as_new_under_load(ledger: RunningLedger) -> None:
    """Everybody who was told that a cell is theirs finds it so, whichever run told it."""
    granted: dict[str, str] = {}

    async def ask(n: int) -> None:
        cell, holder = f"c{n % 60}", f"drill/{n}"
        if (await ledger.client.acquire(asking(cell, holder, namespaces=[f"n{n % 60}"]))).granted:
            assert granted.setdefault(cell, holder) == holder, "a cell has one holder"

    for batch in range(10):
        await asyncio.gather(*(ask(n) for n in range(batch * 12, batch * 12 + 12)))

    assert len([run async for run in histories(ledger.temporal)]) > 1
    held = {cell: lease.holder for cell, lease in (await ledger.client.leases()).items()}
    assert held == granted
    assert len(held) == 60


DEATHS = 3
HOLDERS = 6
TURNS = 8
"""How often each holder gets a cell."""


@pytest.mark.timeout(240)
async def test_a_worker_that_is_killed_again_and_again_loses_no_lease_and_gives_none_twice(
    engine: WorkflowEnvironment,
) -> None:
    client = await fresh_namespace(engine.client)
    replicas = {f"c{n}": [f"n{n}.acme1", f"n{(n + 1) % 8}.acme1"] for n in range(8)}
    disturbed: set[str] = set()
    turns = 0

    async def take_turns(holder: str) -> None:
        nonlocal turns
        ledger, order = LedgerClient(client), Random(holder)  # noqa: S311 - no secret.
        mine = 0
        while mine < TURNS:
            cell = order.choice(list(replicas))
            asked = asking(cell, holder, namespaces=replicas[cell], caps={"fleet": 2})
            if not (await ledger.acquire(asked)).granted:
                continue
            assert disturbed.isdisjoint(replicas[cell]), (holder, cell, disturbed)
            disturbed.update(replicas[cell])
            held = await ledger.leases()
            assert held[cell].holder == holder
            assert violations(held.values()) == []
            disturbed.difference_update(replicas[cell])
            await ledger.give_back(GiveBack(cell, holder, held[cell].number))
            mine += 1
            turns += 1

    async with _worker_that_dies(client, lambda: turns, DEATHS) as deaths:
        await asyncio.gather(*(take_turns(f"rollout/{n}") for n in range(HOLDERS)))
        assert await LedgerClient(client).leases() == {}

    assert len(deaths) == DEATHS
    await assert_the_ledger_replays(client)


@asynccontextmanager
async def _worker_that_dies(
    client: Client, turns: Callable[[], int], times: int
) -> AsyncIterator[list[int]]:
    """Run a worker that is killed, and begun anew, whenever some more turns have been taken."""
    deaths: list[int] = []
    address = client.service_client.config.target_host

    async def keep_running() -> None:
        while True:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.ledger.worker", address, client.namespace)
            )
            try:
                if len(deaths) < times:
                    await eventually(partial(_reached, turns, turns() + 8), within=120, every=0.005)
                    process.kill()
                    deaths.append(turns())
                await process.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    keeping = asyncio.create_task(keep_running())
    try:
        yield deaths
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _reached(turns: Callable[[], int], wanted: int) -> bool:
    return turns() >= wanted
