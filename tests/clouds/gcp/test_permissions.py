"""What the control plane must be allowed is in `terraform/`, and it asks for no more."""

import json
from pathlib import Path

import pytest

from cells.providers.gcp.preflight import (
    BILLING_PERMISSIONS,
    FOLDER_PERMISSIONS,
    STATE_PERMISSIONS,
)
from controlplane.gcp.errors import PERMISSIONS

POLICIES = Path(__file__).parents[3] / PERMISSIONS / "policies"


@pytest.mark.parametrize(
    ("role", "checked"),
    [
        ("folder", FOLDER_PERMISSIONS),
        ("billing", BILLING_PERMISSIONS),
        ("state", STATE_PERMISSIONS),
    ],
)
def test_what_is_checked_before_a_cell_is_made_is_what_terraform_grants(
    role: str, checked: tuple[str, ...]
) -> None:
    granted = json.loads((POLICIES / f"{role}.json").read_text())["permissions"]

    # To look at the folder and the bucket themselves is not asked for by name.
    unchecked = set(granted) - set(checked)
    assert unchecked <= {"resourcemanager.folders.get", "storage.buckets.get"}
    assert set(checked) <= set(granted)
