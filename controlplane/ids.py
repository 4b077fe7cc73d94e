"""How things are called: namespaces, accounts, regions, and the names derived from them."""

import re

# "2 to 39 characters, lower-case letters, digits and hyphens, starts with a letter, ends with a
# letter or digit": Temporal Cloud's documentation, "Namespaces".
NAMESPACE_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,37}[a-z0-9])")
# "At least five alphanumerics" (ibid.); the upper bound keeps a role name within PostgreSQL's 63.
ACCOUNT_ID = re.compile(r"[a-z0-9]{5,12}")
# A label in DNS, a namespace of Kubernetes, and short enough for the roles named after it.
CELL_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,37}[a-z0-9])")
REGION_ID = re.compile(r"(?:aws|gcp)-[a-z0-9-]+")


def namespace_id(name: str, account: str) -> str:
    """Return the namespace's full id, `<name>.<account>`."""
    return f"{name}.{account}"


def account_of(namespace: str) -> str:
    """Return the account of a full namespace id."""
    return namespace.rpartition(".")[2]


def server_name(namespace: str, zone: str) -> str:
    """Return the host name of the namespace's endpoint: what clients dial and send as SNI."""
    return f"{namespace}.{zone}"


def ingress_name(cell: str, zone: str) -> str:
    """Return the host name of a cell's ingress, to which its namespaces' names point."""
    return f"{cell}.cell.{zone}"


def database_role(namespace: str, replica: int = 0) -> str:
    """Return the PostgreSQL role that owns the rows of one replica of the namespace in its cell's
    database: several cells may share a server, and roles are the server's."""
    return f"ns:{namespace}{f'~{replica}' if replica else ''}"


def cell_workflow_id(cell: str) -> str:
    """Return the id of the workflow that is the cell's entity."""
    return f"cell/{cell}"


def cell_life_workflow_id(cell: str) -> str:
    """Return the id of the workflow that builds a cell in a cloud, and takes it down again."""
    return f"cell-life/{cell}"


def visit_workflow_id(visit: str) -> str:
    """Return the id of the workflow of a visit to a cell."""
    return f"visit/{visit}"


def namespace_workflow_id(namespace: str) -> str:
    """Return the id of the workflow that is the namespace's entity."""
    return f"namespace/{namespace}"


def rollout_workflow_id(rollout: str) -> str:
    """Return the id of the workflow that is the rollout's entity."""
    return f"rollout/{rollout}"


def evacuation_workflow_id(cell: str) -> str:
    """Return the id of the workflow that empties the cell, whenever one does."""
    return f"evacuation/{cell}"


def replica_change_workflow_id(namespace: str, change: str) -> str:
    """Return the id of the workflow that carries out one change of the namespace's replicas."""
    return f"replicas/{namespace}/{change}"
