"""Recorded histories replay on today's code, and states carried by older runs still load.

To record more: tests/histories/record.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from cells.ledger.workflow import LedgerWorkflow
from cells.types import CellState
from cells.visits.workflow import CellVisitWorkflow
from cells.workflow import CellWorkflow
from controlplane.payloads import data_converter
from provisioning.evacuation.types import EvacuationState
from provisioning.evacuation.workflow import EvacuationWorkflow
from provisioning.types import NamespaceState
from provisioning.workflow import NamespaceWorkflow
from rollout.types import RolloutState
from rollout.workflow import RolloutWorkflow

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))
GOLDEN = Path(__file__).with_name("golden")
STATES: dict[str, TypeAdapter[Any]] = {
    "cell": TypeAdapter(CellState),
    "evacuation": TypeAdapter(EvacuationState),
    "namespace": TypeAdapter(NamespaceState),
    "rollout": TypeAdapter(RolloutState),
}
WORKFLOWS = [
    CellVisitWorkflow,
    CellWorkflow,
    EvacuationWorkflow,
    LedgerWorkflow,
    NamespaceWorkflow,
    RolloutWorkflow,
]


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_history_replays(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=data_converter)
    kind, scenario = path.stem.split("_", 1)
    history = WorkflowHistory.from_json(f"{kind}/{scenario}", path.read_text())  # noqa: ASYNC240

    await replayer.replay_workflow(history)


def test_there_are_histories_of_every_kind() -> None:
    kinds = {"cell", "evacuation", "ledger", "namespace", "rollout", "visit"}
    assert {path.stem.split("_")[0] for path in HISTORIES} == kinds


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_state_loads_and_keeps_what_it_says(path: Path) -> None:
    golden = json.loads(path.read_text())

    loaded = STATES[path.stem.split("_")[0]].validate_python(golden)

    written = STATES[path.stem.split("_")[0]].dump_python(loaded, mode="json")
    assert _without_news(written, golden) == golden


def _without_news(written: Any, golden: Any) -> Any:
    """Return `written` less the fields that were added since."""
    match written, golden:
        case dict(), dict():
            return {key: _without_news(written[key], golden[key]) for key in golden}
        case list(), list() if len(written) == len(golden):
            return [_without_news(*pair) for pair in zip(written, golden, strict=True)]
        case _:
            return written
