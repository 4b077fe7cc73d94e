"""The task queues work waits in.

Namespaces and cells wait apart, so that a backlog of one does not starve the other, and each
region has queues of its own: an entity and its activities run on workers near what they act on.
"""


def namespaces_queue(region: str) -> str:
    """Return the queue of the namespaces whose home is `region`."""
    return f"namespaces/{region}"


def cells_queue(region: str) -> str:
    """Return the queue of the cells in `region`."""
    return f"cells/{region}"


def fleet_queue() -> str:
    """Return the queue of what there is once per fleet: rollouts and the disruption ledger."""
    return "fleet"
