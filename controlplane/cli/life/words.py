"""A cell's life in words: how each layer is, what is deleted with it, what to do next."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from cells.life.types import Layer, LayerRecord, LifeView, Phase
from controlplane.cli.output import seconds

BUILDING = {
    Layer.PREFLIGHT: "Ask whether it may be built there",
    Layer.ACCOUNT: "Make its account",
    Layer.INFRASTRUCTURE: "Build network, cluster and database",
    Layer.CLUSTER: "Enter the cluster",
    Layer.STORES: "Make databases, roles and secrets",
    Layer.SERVICES: "Start Temporal and the ingress",
    Layer.NAME: "Publish its name in DNS",
    Layer.REGISTRATION: "Make it known to the fleet",
    Layer.PROOF: "Prove that a namespace works there",
    Layer.OPENING: "Let namespaces be placed there",
}
DISMANTLING = {
    Layer.PREFLIGHT: "Forget that it was to be built",
    Layer.ACCOUNT: "Sweep its account and close it",
    Layer.INFRASTRUCTURE: "Destroy network, cluster and database",
    Layer.CLUSTER: "Leave the cluster",
    Layer.STORES: "Delete its secrets",
    Layer.SERVICES: "Remove Temporal and the ingress",
    Layer.NAME: "Withdraw its name from DNS",
    Layer.REGISTRATION: "Take it from the fleet",
    Layer.PROOF: "Forget the proof",
    Layer.OPENING: "Place no namespaces there any more",
}
_LONGEST = max(len(title) for title in (*BUILDING.values(), *DISMANTLING.values()))


class LayerState(StrEnum):
    """How one layer is."""

    UNDER_WAY = "…"
    BUILT = "✓"
    GONE = "↩"
    FAILED = "✗"
    WAITING = "!"


def layer_state(view: LifeView, record: LayerRecord) -> LayerState:
    if record.dismantled_at is not None:
        return LayerState.GONE
    if record.problem and view.phase is Phase.FAILED:
        return LayerState.FAILED
    if record.problem and view.retry_at is not None:
        return LayerState.WAITING
    standing = [each for each in view.layers if each.dismantled_at is None]
    if view.phase is Phase.DISMANTLING and record == standing[-1]:
        return LayerState.UNDER_WAY
    if record.built_at is not None:
        return LayerState.BUILT
    return LayerState.UNDER_WAY if view.phase is Phase.BUILDING else LayerState.FAILED


def layer_title(view: LifeView, record: LayerRecord) -> str:
    """Return what is done to a layer, or was done to it last."""
    going = (LayerState.GONE, LayerState.UNDER_WAY, LayerState.WAITING)
    is_going = view.phase in (Phase.DISMANTLING, Phase.GONE)
    titles = DISMANTLING if is_going and layer_state(view, record) in going else BUILDING
    return titles[record.layer]


def layer_said(view: LifeView, record: LayerRecord) -> str:
    """Return what there is to say of a layer: what is being done, or why it is not done."""
    if layer_state(view, record) is not LayerState.UNDER_WAY:
        return record.problem
    again = f"again, after: {record.problem}" if record.problem else ""
    return record.progress or again


def layer_line(view: LifeView, record: LayerRecord) -> str:
    """Return how a layer is, as a line of a log."""
    state, said = layer_state(view, record), layer_said(view, record)
    title = f"  {state} {layer_title(view, record)}"
    if state is LayerState.UNDER_WAY:
        return f"{title}: {said}" if said else title
    if state is LayerState.BUILT and record.built_at is not None:
        said = f"{seconds(record.built_at - record.begun_at):>12}"
    return f"{title:<{_LONGEST + 4}}  {said}".rstrip()


def layer_took(record: LayerRecord, now: datetime) -> timedelta:
    """Return how long its building took, or takes already."""
    return (record.built_at or record.dismantled_at or now) - record.begun_at


def deleted_with(view: LifeView) -> str:
    """Return what is deleted when the cell is torn down, as far as it was begun."""
    things = list(_deleted(view))
    return f"This deletes {'; '.join(things)}." if things else "Nothing of it was made yet."


def what_next(view: LifeView) -> str:
    """Return what somebody may do now, as a command to type; empty for nothing."""
    cell = view.blueprint.cell
    match view.phase:
        case Phase.BUILDING:
            return f"Follow it with: controlplane cell life {cell} --watch"
        case Phase.WAITING:
            return (
                "It goes on by itself once that has changed. To have it looked at now: "
                f"controlplane cell retry {cell}"
            )
        case Phase.FAILED:
            return (
                f"To go on from there: controlplane cell retry {cell}. To tear down what is "
                f"there: controlplane cell abandon {cell}"
            )
        case Phase.READY:
            return ""
        case Phase.DRAINING:
            return (
                f"See what moves with: controlplane evacuation list --cell {cell}. To call it off: "
                f"controlplane cell keep {cell}"
            )
        case Phase.DISMANTLING:
            if view.leftovers and view.account is not None:
                return (
                    f"Delete what is left in account {view.account.id}, then: controlplane cell "
                    f"retry {cell}"
                )
            return f"Follow it with: controlplane cell life {cell} --watch"
        case Phase.GONE:
            return ""


def _deleted(view: LifeView) -> Iterator[str]:
    standing = {record.layer for record in view.layers if record.dismantled_at is None}
    where = view.foundation
    if Layer.REGISTRATION in standing:
        yield "the cell from the fleet"
    if Layer.NAME in standing:
        yield "its name in DNS"
    if Layer.SERVICES in standing:
        yield "its Temporal services and ingress"
    if Layer.STORES in standing:
        yield "its secrets"
    if Layer.INFRASTRUCTURE in standing:
        yield (
            "its network, cluster and database with all data"
            if where is None
            else f"its network, the cluster {where.cluster.name}, and the database "
            f"{where.database} with all data"
        )
    if Layer.ACCOUNT in standing:
        yield "its account" if view.account is None else f"its account {view.account.id}"
