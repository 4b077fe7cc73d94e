"""Real servers, one of each for a whole session."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings
from temporalio.testing import WorkflowEnvironment

from tests.clouds.aws.running import RunningAws, running_aws
from tests.engine import running_engine, running_engine_in_skipped_time
from tests.failures import FLEET, KUBERNETES, Failures
from tests.fleet import RunningFleet, running_fleet
from tests.kubernetes.cluster import RunningCluster, running_cluster
from tests.postgres import RunningPostgres, running_postgres

# Other tests share the processors: how long an example takes says nothing.
# A busy machine is slow, and an unlucky seed finds few examples: neither is a broken rule.
settings.register_profile(
    "shared",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("shared")

SHARED_SERVERS_SECONDS = 600
"""The first test of a fleet or a cluster waits for its start as well, on a machine that tests keep
busy."""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Failures(config.rootpath / ".pytest_cache" / "failed"))


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPostgres]:
    """A PostgreSQL server shared by the whole session: create a database of your own in it."""
    async with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
async def aws() -> AsyncIterator[RunningAws]:
    """A stand-in for AWS shared by the whole session: reset it before you use it."""
    async with running_aws() as running:
        yield running


@pytest.fixture(scope="session")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server shared by the whole session: use a namespace of your own in it."""
    async with running_engine() as environment:
        yield environment


@pytest.fixture
async def engine_in_skipped_time() -> AsyncIterator[WorkflowEnvironment]:
    """An engine of one test whose clock jumps ahead when the test sleeps on it."""
    async with running_engine_in_skipped_time() as environment:
        yield environment


@pytest.fixture(scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningFleet]:
    """An embedded fleet shared by the whole session: leave it as you find it, up."""
    async with running_fleet(tmp_path_factory.mktemp("fleet") / "home") as running:
        yield running


@pytest.fixture(scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningCluster]:
    """A Kubernetes cluster shared by the whole session: use a namespace of your own in it."""
    async with running_cluster(tmp_path_factory.mktemp("kubernetes")) as running:
        yield running


@pytest.hookimpl(tryfirst=True)  # Before xdist reads the groups.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of the fleet in one process, and those of the cluster, for `--dist loadgroup`:
    one of each is enough."""
    for item in items:
        for fixture, group in (("fleet", FLEET), ("cluster", KUBERNETES)):
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(group))
                if item.get_closest_marker("timeout") is None:
                    item.add_marker(pytest.mark.timeout(SHARED_SERVERS_SECONDS))
