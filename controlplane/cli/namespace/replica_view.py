"""A namespace's replicas for people: where they are, how far behind, what is done to them."""

from datetime import UTC, datetime

from rich.text import Text

from controlplane.api.replica_states import ReplicaState
from controlplane.api.replica_types import NamespaceReplicas, ReplicaDetails
from controlplane.cli.output import moment, results, seconds, table
from controlplane.cli.replica_progress import how_far
from provisioning.types import ReplicaChange

_STYLES = {
    ReplicaState.ADDING: "cyan",
    ReplicaState.ACTIVE: "bold green",
    ReplicaState.PASSIVE: "green",
    ReplicaState.REMOVING: "yellow",
    ReplicaState.FAILED: "bold red",
}


def show_replicas(replicas: NamespaceReplicas) -> None:
    """Print the replicas as a table, then what is done to them."""
    rows = table("REPLICA", "CELL", "STATE", "BEHIND", "PROBLEMS")
    for replica in replicas.replicas:
        state = Text(replica.state.lower(), _STYLES[replica.state])
        if replica.is_moving:
            state.append(" (migration)", "dim")
        rows.add_row(
            replica.region,
            replica.cell or "-",
            state,
            _behind(replica),
            "; ".join(replica.problems),
        )
    results().print(rows)
    if replicas.change is not None:
        results().print()
        results().print(change_line(replicas.change, replicas.change_eta), markup=False)


def change_line(change: ReplicaChange, eta: datetime | None) -> str:
    """Return what is being done to the replicas, and how far it is, in a line."""
    of = f"{change.source or '-'} → {change.target or change.region}"
    far = how_far(change, eta, datetime.now(UTC))
    told = f": {far}" if far else ""
    return (
        f"{change.kind} {change.id or '(waits for its turn)'} ({of}) since "
        f"{moment(change.started_at)}, in phase {change.progress.phase}{told}"
    )


def _behind(replica: ReplicaDetails) -> str:
    if replica.is_active:
        return "-"
    if replica.lag is None or replica.looked_at is None:
        return "not known"
    return f"{seconds(replica.lag)} at {moment(replica.looked_at)}"
