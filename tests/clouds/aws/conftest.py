"""An organisation of one test in the stand-in that all of them share."""

from collections.abc import AsyncIterator

import pytest

from cells.life.types import Blueprint
from cells.providers.aws.cloud import AwsCloud
from cells.providers.aws.settings import AwsSettings
from tests.clouds.aws.cells import blueprint, cloud_of
from tests.clouds.aws.running import RunningAws, alone_in


@pytest.fixture
async def settings(aws: RunningAws) -> AsyncIterator[AwsSettings]:
    """An organisation that has what a cell needs, and nothing else."""
    async with alone_in(aws):
        settings = await aws.organization()
        await aws.quiet()
        yield settings


@pytest.fixture
def cloud(settings: AwsSettings) -> AwsCloud:
    return cloud_of(settings)


@pytest.fixture
def cell() -> Blueprint:
    return blueprint()
