import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a home to keep its sockets in it."""
    with tempfile.TemporaryDirectory(prefix="home-", dir="/tmp") as folder:
        yield Path(folder).resolve()
