"""How things are called: namespaces, accounts, regions, and the names derived from them."""

import re

# "2 to 39 characters, lower-case letters, digits and hyphens, starts with a letter, ends with a
# letter or digit": Temporal Cloud's documentation, "Namespaces".
NAMESPACE_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,37}[a-z0-9])")
# "At least five alphanumerics" (ibid.); the upper bound keeps a role name within PostgreSQL's 63.
ACCOUNT_ID = re.compile(r"[a-z0-9]{5,12}")
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


def database_role(namespace: str) -> str:
    """Return the PostgreSQL role that owns the namespace's rows in its cell's database."""
    return f"ns:{namespace}"


def cell_workflow_id(cell: str) -> str:
    """Return the id of the workflow that is the cell's entity."""
    return f"cell/{cell}"


def namespace_workflow_id(namespace: str) -> str:
    """Return the id of the workflow that is the namespace's entity."""
    return f"namespace/{namespace}"


def rollout_workflow_id(rollout: str) -> str:
    """Return the id of the workflow that is the rollout's entity."""
    return f"rollout/{rollout}"
