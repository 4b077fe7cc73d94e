"""Real Terraform for each test, with a cloud of its own."""

from pathlib import Path

import pytest

from tests.terraform.stand_in import StandIn, stand_in


@pytest.fixture
def terraform(tmp_path: Path) -> StandIn:
    """A `terraform` that serves what `terraform/` uses."""
    return stand_in(tmp_path / "terraform")
