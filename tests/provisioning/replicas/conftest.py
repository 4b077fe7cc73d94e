"""Namespaces that are replicated for real: two servers, two bridges."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.pair import Pair, running_pair
from tests.provisioning.replicas.tenancy import Tenancy


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Where a home can be: its path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="home-", dir="/tmp") as folder:
        yield Path(folder).resolve() / "home"


@pytest.fixture
def short_path() -> Iterator[Path]:
    """As `home`, for a test that runs cells of its own."""
    with tempfile.TemporaryDirectory(prefix="home-", dir="/tmp") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="session")
async def pair(home: Path) -> AsyncIterator[Pair]:
    """Two joined cells shared by these tests: leave them up, and joined."""
    async with running_pair(home) as running:
        yield running


@pytest.fixture
async def tenancy(pair: Pair) -> Tenancy:
    return await Tenancy.of(pair)
