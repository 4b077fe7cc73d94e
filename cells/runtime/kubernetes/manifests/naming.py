"""How the objects of a cell are called and labelled, and the parts that all of them share."""

import base64
import hashlib
import json
from enum import StrEnum

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Layout

FIELD_MANAGER = "controlplane"
RECORD_MANAGER = "controlplane-record"
"""Who writes the record of what was done, apart from who applies what is wanted."""

COMPONENT = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
MANAGED_BY = "app.kubernetes.io/managed-by"
PART_OF = "app.kubernetes.io/part-of"
ROLE = "controlplane/role"
TEMPORAL = "temporal"
"""The role of every pod of the Temporal service."""


class Service(StrEnum):
    """The Temporal services, in the order in which they are upgraded.

    Whoever is called comes before its callers, so that nobody uses fields that the other side does
    not know; and the worker before the frontends, which start system workflows that it must know.
    """

    HISTORY = "history"
    MATCHING = "matching"
    WORKER = "worker"
    INTERNAL_FRONTEND = "internal-frontend"
    FRONTEND = "frontend"


INGRESS = "ingress"
SCHEMA = "schema"
COMPONENTS: tuple[str, ...] = (*Service, INGRESS)
"""What is deployed, in the order in which it is rolled out."""


def labels(layout: Layout, component: str) -> Json:
    return {
        COMPONENT: component,
        INSTANCE: layout.cell,
        MANAGED_BY: FIELD_MANAGER,
        PART_OF: "temporal-cell",
    }


def selector(layout: Layout, component: str) -> Json:
    """Return the labels by which a component's pods are found. They can never be changed."""
    return {COMPONENT: component, INSTANCE: layout.cell}


def owned(layout: Layout) -> str:
    """Return the label selector of everything that is the cell's."""
    return f"{INSTANCE}={layout.cell},{MANAGED_BY}={FIELD_MANAGER}"


def manifest(
    api_version: str, kind: str, layout: Layout, name: str, component: str, **content: object
) -> Json:
    """Return an object of the cell's namespace."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": layout.namespace,
            "labels": labels(layout, component),
        },
        **content,
    }


def by_content(name: str, content: object) -> str:
    """Return the name of something that never changes: what changes it gets another name, and
    pods go from one to the other in a roll-out, and back in an undo."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"{name}-{hashlib.sha256(canonical.encode()).hexdigest()[:10]}"


def encoded(value: str | bytes) -> str:
    """Return a value as Secrets hold it."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
