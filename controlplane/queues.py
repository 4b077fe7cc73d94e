"""The task queues work waits in.

Workflow tasks of namespaces and of cells wait apart, so that a backlog of one does not starve the
other; activities wait in the queue of the region they act in, so that workers can run near it.
"""

NAMESPACES = "namespaces"
CELLS = "cells"


def region_queue(region: str) -> str:
    """Return the queue of activities that act in `region`."""
    return f"region/{region}"
