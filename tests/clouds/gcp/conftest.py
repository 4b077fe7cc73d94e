"""The stand-in, and the adapter that works with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cells.providers.gcp.cloud import GcpCloud
from tests.clouds.gcp.stand_in import StandIn, running_gcp


@pytest.fixture
async def gcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    async with running_gcp(tmp_path) as stand_in:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(stand_in.credentials_file))
        yield stand_in


@pytest.fixture
async def cloud(gcp: StandIn) -> AsyncIterator[GcpCloud]:
    made = GcpCloud(gcp.settings)
    yield made
    await made.close()
