"""What must be so of two cells before they can be joined. Pure."""

from cells.types import CellSpec, CellView


def obstacle(cell: CellView, peer: CellView) -> str:
    """Say why the two can never be joined as they are; nothing when they can."""
    if cell.id == peer.id:
        return f"cell {cell.id} cannot be joined with itself"
    for known in (cell, peer):
        if not known.spec.failover_version:
            return (
                f"cell {known.id} has no failover version on record: register it with the initial "
                f"failover version of its Temporal service"
            )
    if cell.spec.failover_version == peer.spec.failover_version:
        return (
            f"cells {cell.id} and {peer.id} both have the initial failover version "
            f"{cell.spec.failover_version}: each needs one of its own, for ever"
        )
    for puller, source in ((cell, peer), (peer, cell)):
        if not address_for(puller.id, source.spec):
            return (
                f"no address is on record where cell {puller.id} could pull from {source.id}: "
                f"register {source.id} with one"
            )
    return ""


def shards_obstacle(cell: str, shards: int, peer: str, peers_shards: int) -> str:
    """Say why executions of one cannot be mapped to the shards of the other."""
    larger, smaller = max(shards, peers_shards), min(shards, peers_shards)
    if smaller and larger % smaller == 0:
        return ""
    return (
        f"cell {cell} has {shards} history shards and {peer} has {peers_shards}: one number has to "
        f"be a multiple of the other, and neither can be changed"
    )


def address_for(puller: str, source: CellSpec) -> str:
    """Return where a cell pulls from another; empty when it cannot."""
    replication = source.addresses.replication
    return replication.get(puller) or replication.get("", "")
