"""How a cell's databases and their roles are called."""

TEMPORAL = "temporal"
"""The database of the Temporal service's main store, and the role that owns it and the next."""
TEMPORAL_VISIBILITY = "temporal_visibility"
"""The database of its visibility store."""


def ingress_database(cell: str) -> str:
    """Name the database that a cell's ingress reads, and the control plane's role that owns it."""
    return f"cell_{cell.replace('-', '_')}"


def gatekeeper_role(cell: str) -> str:
    """Name the role as which a cell's gatekeeper reads that database."""
    return f"{ingress_database(cell)}_gatekeeper"
