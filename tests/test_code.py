"""The checks that keep the code in shape, so that `make test` is the one command to run."""

import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.mark.timeout(600)
@pytest.mark.parametrize("check", ["ruff format --check", "ruff check", "mypy", "lint-imports"])
def test_code(check: str) -> None:
    program, *arguments = check.split()
    result = subprocess.run(
        [BIN / program, *arguments], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr
