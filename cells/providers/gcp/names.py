"""How what a cell has in GCP is called. Pure: names come from the cell's uid, and are found by it.

Labels and names are those of `terraform/modules/cell-gcp`.
"""

import re

from cells.life.types import Blueprint

CELL_LABEL = "controlplane-cell"
UID_LABEL = "controlplane-uid"
KEEPER = "controlplane"
"""The service account in a cell's project that the control plane becomes there."""

_LONGEST_DISPLAY_NAME = 30
_SHORTEST_DISPLAY_NAME = 4


def project_id(prefix: str, blueprint: Blueprint) -> str:
    return f"{prefix}-{blueprint.uid}"


def display_name(blueprint: Blueprint) -> str:
    """Return what the console shows: 4 to 30 letters, digits, hyphens and spaces."""
    name = re.sub(r"[^A-Za-z0-9 -]", "-", blueprint.cell)[:_LONGEST_DISPLAY_NAME]
    return name if len(name) >= _SHORTEST_DISPLAY_NAME else f"cell {name}"


def labels(blueprint: Blueprint) -> dict[str, str]:
    return {
        CELL_LABEL: blueprint.cell.lower()[:63],
        UID_LABEL: blueprint.uid,
        "managed-by": "controlplane",
    }


def keeper_email(project: str) -> str:
    return f"{KEEPER}@{project}.iam.gserviceaccount.com"


def state_prefix(blueprint: Blueprint) -> str:
    """Return the folder of the state bucket that is the cell's."""
    return f"cells/{blueprint.cell}-{blueprint.uid}"
