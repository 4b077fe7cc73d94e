"""Hundreds of namespaces from creation to nothing: `python -m tests.load.namespaces [COUNT]`.

Reports rates, memory, and the histories of the entities.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from temporalio.api.cloud.cloudservice.v1 import GetNamespacesRequest, UpdateNamespaceTagsRequest
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation

from tests.fleet import RunningFleet, running_fleet
from tests.load.census import census
from tests.load.footprint import History, histories, memory
from tests.load.stage import update
from tests.tenant import REGIONS, Tenant, tenant_of

COUNT = 500
AT_ONCE = 32
POLL_SECONDS = 0.2
RETENTION_DAYS = 11
PAGE_SIZES = (7, 100)

Act = Callable[[str], Awaitable[None]]


@dataclass
class Report:
    """What was seen of a number of namespaces."""

    count: int
    seconds: dict[str, float] = field(default_factory=dict)
    """By what was done to all of them."""
    listed: dict[int, list[str]] = field(default_factory=dict)
    """The names found, in the order found, by page size."""
    after_update: list[Namespace] = field(default_factory=list)
    memory: dict[str, Counter[str]] = field(default_factory=dict)
    """MiB by kind of program, at several moments."""
    histories: list[History] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    """What is there in the end that was not there before."""

    def __str__(self) -> str:
        lines = [f"{self.count} namespaces, {AT_ONCE} at a time"]
        lines += [
            f"  {what:24} {seconds:8.1f} s {self.count / seconds:9.1f} a second"
            for what, seconds in self.seconds.items()
        ]
        lines += [f"memory, MiB{'':13} " + " ".join(f"{moment:>10}" for moment in self.memory)]
        lines += [
            f"  {program:22} " + " ".join(f"{used[program]:10}" for used in self.memory.values())
            for program in sorted({p for used in self.memory.values() for p in used})
        ]
        events = sorted(history.events for history in self.histories)
        sizes = sorted(history.size for history in self.histories)
        lines += [
            f"history, events{'':9} p50 {events[len(events) // 2]}, max {events[-1]}",
            f"history, bytes{'':10} p50 {sizes[len(sizes) // 2]}, max {sizes[-1]}",
            f"continued as new{'':8} {sum(h.rolled_over for h in self.histories)} entities",
            f"left in the end{'':9} {len(self.left)}",
        ]
        return "\n".join(lines)


async def many_namespaces(fleet: RunningFleet, tenant: Tenant, count: int) -> Report:
    """Create, list, update and delete so many namespaces; leave nothing of them behind."""
    report = Report(count)
    # Names sort as their numbers do.
    names = [f"many-{n:04}" for n in range(count)]
    ids = [tenant.id(name) for name in names]
    before = await census(fleet, ids)
    report.memory["before"] = memory(fleet)

    async def create(name: str) -> None:
        region = REGIONS[int(name.rpartition("-")[2]) % len(REGIONS)]
        await _fulfilled(tenant, await tenant.create(name, region))

    async def change_retention(name: str) -> None:
        await update(tenant, name, _keep_longer)

    async def tag(name: str) -> None:
        answer = await tenant.cloud.cloud_service.update_namespace_tags(
            UpdateNamespaceTagsRequest(
                namespace=tenant.id(name),
                tags_to_upsert={"number": name},
                async_operation_id=str(uuid4()),
            )
        )
        await _fulfilled(tenant, answer.async_operation.id)

    async def delete(name: str) -> None:
        await _fulfilled(tenant, await tenant.delete(name))

    async def all_of_them(what: str, act: Act) -> None:
        report.seconds[what] = await _timed(act, names)
        report.memory[what] = memory(fleet)

    await all_of_them("created", create)
    for size in PAGE_SIZES:
        begin = time.monotonic()
        report.listed[size] = [found.spec.name for found in await _all(tenant, ids, size)]
        report.seconds[f"listed {size} a page"] = time.monotonic() - begin
    await all_of_them("updated", change_retention)
    await all_of_them("tagged", tag)
    report.after_update = await _all(tenant, ids, PAGE_SIZES[-1])
    report.histories = await histories(fleet, ids)
    await all_of_them("deleted", delete)
    report.left = await census(fleet, ids) - before
    return report


async def _timed(act: Act, names: Sequence[str]) -> float:
    """Do something to each, so many at once as the module says; return how long it took."""
    waiting = iter(names)

    async def one_after_the_other() -> None:
        for name in waiting:
            await act(name)

    begin = time.monotonic()
    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return time.monotonic() - begin


async def _fulfilled(tenant: Tenant, operation: str) -> None:
    ended = await tenant.finished(operation, within=200, every=POLL_SECONDS)
    assert ended.state == AsyncOperation.STATE_FULFILLED, ended.failure_reason


def _keep_longer(spec: NamespaceSpec) -> None:
    spec.retention_days = RETENTION_DAYS


async def _all(tenant: Tenant, ids: Sequence[str], page_size: int) -> list[Namespace]:
    """Page through all of the account, and return those asked for: it may have others."""
    found: list[Namespace] = []
    token = ""
    while True:
        page = await tenant.cloud.cloud_service.get_namespaces(
            GetNamespacesRequest(page_size=page_size, page_token=token)
        )
        assert len(page.namespaces) <= page_size
        found += page.namespaces
        token = page.next_page_token
        if not token:
            return [each for each in found if each.namespace in ids]


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_fleet(Path(folder) / "home") as fleet, tenant_of(fleet) as tenant:
            report = await many_namespaces(fleet, tenant, count)
    print(report)
    for line in sorted(report.left)[:20]:
        print("  left:", line)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else COUNT))
