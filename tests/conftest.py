import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from tests.fleet import RunningFleet, running_fleet
from tests.postgres import RunningPostgres, running_postgres

FLEET_TEST_SECONDS = 300
"""The first test of a fleet waits for its start as well, on a machine that tests keep busy."""


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPostgres]:
    """A PostgreSQL server shared by the whole session: create a database of your own in it."""
    async with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server shared by the whole session: use a namespace of your own in it."""
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=str(Path(sys.executable).with_name("temporal")),
        # Roll over early, so that continue-as-new is part of every longer test.
        dev_server_extra_args=[
            "--dynamic-config-value",
            "limit.historyCount.suggestContinueAsNew=50",
        ],
    ) as environment:
        yield environment


@pytest.fixture
async def engine_in_skipped_time() -> AsyncIterator[WorkflowEnvironment]:
    """An engine whose clock jumps ahead when a test sleeps on it."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter,
        test_server_existing_path=str(Path(sys.executable).with_name("temporal-test-server")),
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningFleet]:
    """An embedded fleet shared by the whole session: leave it as you find it, up."""
    async with running_fleet(tmp_path_factory.mktemp("fleet") / "home") as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of the fleet in one process under `--dist loadgroup`: one fleet is enough."""
    for item in items:
        if "fleet" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("fleet"))
            item.add_marker(pytest.mark.timeout(FLEET_TEST_SECONDS))
