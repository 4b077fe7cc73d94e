"""What runs the fleet, reached through a real engine: refusals and silence."""

from collections.abc import Awaitable, Callable

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from cells.client import CellClient
from cells.ledger.client import LedgerClient
from cells.ledger.types import Fence
from cells.life.client import CellLifeClient
from cells.life.types import CreateCell, LifeCommand, LifeCommandKind
from controlplane.api.fleet_engine import EngineCells, EngineLedger, EngineLives, EngineRollouts
from controlplane.api.ports import EngineUnavailable
from controlplane.errors import ErrorType
from controlplane.local.ports import free_port
from controlplane.payloads import data_converter
from rollout.client import RolloutClient
from rollout.types import Control, ControlKind
from tests.engine import fresh_namespace
from tests.store.life_views import blueprint
from tests.store.rollout_views import start_rollout

RETRY = LifeCommand("o2", LifeCommandKind.RETRY, "olga", "x")
CONTROL = Control("c1", ControlKind.PAUSE, "olga", "lunch")


Send = Callable[[], Awaitable[object]]


def requests(client: Client, within: float) -> dict[str, Send]:
    """Return how to send a request of each kind."""
    rollouts = EngineRollouts(RolloutClient(client), within)
    ledger = EngineLedger(LedgerClient(client), within)
    cells = EngineCells(CellClient(client), within)
    lives = EngineLives(CellLifeClient(client), within)
    return {
        "start": lambda: rollouts.start(start_rollout()),
        "control": lambda: rollouts.control("r1", CONTROL),
        "fence": lambda: ledger.fence(Fence("c1", "rollout/r1", "olga", "x")),
        "cordon": lambda: cells.cordon("c1", reason="x", by="olga"),
        "uncordon": lambda: cells.uncordon("c1"),
        "lift": lambda: cells.lift_quarantine("c1", by="olga"),
        "release": lambda: cells.release_visit("c1", reason="x", by="olga"),
        "build": lambda: lives.create(CreateCell("o1", blueprint("c1"), "olga")),
        "retry": lambda: lives.command("c1", RETRY),
    }


async def test_an_engine_that_is_not_there_is_unavailable() -> None:
    address = f"127.0.0.1:{free_port()}"
    client = await Client.connect(address, lazy=True, data_converter=data_converter)

    for send in requests(client, 60).values():
        with pytest.raises(EngineUnavailable, match="cannot be reached: send the same request"):
            await send()


async def test_without_a_worker_what_begins_an_entity_is_unavailable_in_time(
    engine: WorkflowEnvironment,
) -> None:
    send = requests(await fresh_namespace(engine.client), 0.5)

    for what in ("start", "fence", "build"):
        with pytest.raises(EngineUnavailable, match="in time"):
            await send[what]()


async def test_what_never_was_is_told_apart_from_silence(engine: WorkflowEnvironment) -> None:
    send = requests(await fresh_namespace(engine.client), 60)

    for what in ("cordon", "uncordon", "lift", "release"):
        with pytest.raises(ApplicationError, match="cell 'c1' not found") as refusal:
            await send[what]()
        assert refusal.value.type == ErrorType.NOT_FOUND
    with pytest.raises(ApplicationError, match="no life of c1 is under way") as refusal:
        await send["retry"]()
    assert refusal.value.type == ErrorType.NOT_FOUND
    with pytest.raises(ApplicationError, match="rollout r1 has ended, or never was") as refusal:
        await send["control"]()
    assert refusal.value.type == ErrorType.FAILED_PRECONDITION
