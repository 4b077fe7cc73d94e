"""Whatever a call to the world comes to, a change of replicas ends whole or undone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cells.client import CellClient
from cells.types import Reserve
from controlplane.errors import rejected
from provisioning.ports import Incarnation
from provisioning.replicas.memory import MemoryReplication
from tests.engine import ZONE, fresh_namespace
from tests.provisioning.replica_changes.changing import Tenancy, three_cells
from tests.provisioning.replica_changes.kinds import KINDS
from tests.provisioning.replica_changes.working import ports_of, workers

PORTS = ("replication", "ingress", "databases", "dns")
HAND_OVER = "replication.hand_over"
"""It is tried once, and nothing that comes after it is tried where it fails: so it fails alone."""
UNDOABLE = (
    "fleet.reserve",
    "databases.prepare",
    "replication.extend",
    "replication.copy",
    "replication.compare",
    HAND_OVER,
)
"""What is asked of the world before there is no way back."""


@dataclass
class Trouble:
    """What is to become of the next calls about one namespace."""

    error: Exception
    when: str
    only: tuple[str, ...] = ()
    """Empty: every method once."""
    spared: tuple[str, ...] = ()
    struck: set[str] = field(default_factory=set)

    def strikes(self, call: str) -> bool:
        if call in self.struck or call in self.spared or (self.only and call not in self.only):
            return False
        self.struck.add(call)
        return True


@dataclass(frozen=True)
class Troubled:
    """Stands in front of a port, and fails once per method where that is planned."""

    port: Any
    name: str
    troubles: dict[str, Trouble]

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self.port, method)

        async def troubled(*arguments: Any) -> Any:
            trouble = self.troubles.get(_namespace(arguments))
            strikes = trouble is not None and trouble.strikes(f"{self.name}.{method}")
            if trouble is not None and strikes and trouble.when == "before":
                raise trouble.error
            result = await call(*arguments)
            if trouble is not None and strikes:
                raise trouble.error
            return result

        return troubled


@pytest.mark.timeout(900)
async def test_every_call_that_fails_once_or_whose_reply_is_lost_is_made_up_for(
    engine: WorkflowEnvironment,
) -> None:
    lost = ConnectionError("the reply was lost")
    troubles = {
        f"{kind}-{what}-{when}": Trouble(lost, when, only, spared)
        for kind in KINDS
        for when in ("before", "after")
        for what, only, spared in (("all", (), (HAND_OVER,)), ("handed", (HAND_OVER,), ()))
        if what == "all" or kind in ("graceful", "migrate")
    }
    await _make_changes(await fresh_namespace(engine.client), troubles)


@pytest.mark.timeout(900)
async def test_a_call_that_is_refused_for_good_has_the_change_undone(
    engine: WorkflowEnvironment,
) -> None:
    troubles = {
        f"{kind}-{n}-{when}": Trouble(rejected("refused on purpose"), when, (call,))
        for kind, calls in (("add", UNDOABLE[:-1]), ("migrate", UNDOABLE))
        for n, call in enumerate(calls)
        for when in ("before", "after")
    }
    await _make_changes(await fresh_namespace(engine.client), troubles)


async def _make_changes(client: Client, planned: dict[str, Trouble]) -> None:
    """Make a change for each trouble, named by its kind, and see that it ended whole or undone."""
    world = three_cells()
    replication = MemoryReplication(world)
    troubles: dict[str, Trouble] = {}
    ports = ports_of(client, world, replication)
    for name in (*PORTS, "fleet"):
        ports[name] = Troubled(ports[name], name, troubles)

    async def one(name: str, trouble: Trouble) -> None:
        kind = KINDS[name.partition("-")[0]]
        tenancy = Tenancy(f"{name}.acme1", client, world, replication)
        await kind.prepare(tenancy)
        troubles[tenancy.id] = trouble
        state = await kind.make(tenancy)
        assert trouble.struck, name
        assert kind.may_end(state, tenancy.view.cells) or (
            tenancy.view.cells == kind.before and state == "FAILED" and bool(trouble.only)
        ), (name, state, tenancy.view.cells)
        await tenancy.assert_whole()

    async with workers(client, ports):
        for cell in world.known_cells:
            await CellClient(client).register(cell.id, cell.spec)
        async with asyncio.TaskGroup() as group:
            for name, trouble in planned.items():
                group.create_task(one(name, trouble))


def _namespace(arguments: tuple[Any, ...]) -> str:
    for argument in arguments:
        match argument:
            case Incarnation() | Reserve():
                return argument.namespace
            case str() if argument.endswith(f".{ZONE}"):
                return argument.removesuffix(f".{ZONE}")
    return ""
