"""What an evacuation has to know of the fleet, out of what was published of it. Pure."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from cells.ledger.types import LedgerView
from cells.observations import sickness
from cells.silence import as_known
from cells.types import SYNTHETIC_RING, CellView
from controlplane.ids import evacuation_workflow_id
from controlplane.resource import ConditionStatus
from provisioning.evacuation.facts import CellFacts, NamespaceFacts, ReplicaFacts, Survey
from provisioning.replicas.plan import is_open
from provisioning.tiers import tier_of
from provisioning.types import NamespaceCondition, NamespaceLife, NamespaceView

_LIVING = (NamespaceLife.ACTIVE, NamespaceLife.UPDATING, NamespaceLife.UPDATE_FAILED)


def survey(
    cell: str,
    cells: Iterable[CellView],
    namespaces: Iterable[NamespaceView],
    ledger: LedgerView,
    now: datetime,
    regions: Collection[str] = (),
) -> Survey:
    """Return what concerns `cell`: these namespaces, the cells that have replicas of them, and all
    cells of `regions`, where something may be migrated to."""
    disturbed = _disturbed(ledger, evacuation_workflow_id(cell))
    found = {view.id: view for view in namespaces if view.life is not NamespaceLife.DELETED}
    concerned = {cell, *(replica for view in found.values() for replica in view.cells)}
    return Survey(
        seen_at=now,
        cells=tuple(
            cell_facts(as_known(view, now), disturbed.get(view.id, ""))
            for view in sorted(cells, key=lambda view: view.id)
            if view.id in concerned or view.spec.region in regions
        ),
        namespaces=tuple(namespace_facts(view) for _, view in sorted(found.items())),
    )


def cell_facts(view: CellView, disturbed: str = "") -> CellFacts:
    spec = view.spec
    if view.visit is not None:
        disturbed = disturbed or f"it is being brought to {view.visit.release}"
    cordon = view.cordon
    return CellFacts(
        id=view.id,
        region=spec.region,
        failure_domain=spec.failure_domain,
        capacity=spec.capacity,
        free=view.free,
        sick=sickness(view),
        disturbed=disturbed,
        cordon="" if cordon is None else f"cordoned by {cordon.by}: {cordon.reason}",
        synthetic=spec.ring == SYNTHETIC_RING,
        replicates=bool(spec.failover_version and spec.addresses.replication),
    )


def namespace_facts(view: NamespaceView) -> NamespaceFacts:
    change, replicated = view.change, view.conditions.get(NamespaceCondition.REPLICATED)
    # When it could not be looked, that may be the cell's trouble for which it is evacuated.
    behind = replicated is not None and replicated.status is ConditionStatus.FALSE
    return NamespaceFacts(
        id=view.id,
        uid=view.uid,
        tier=tier_of(view.tags),
        active=None if view.cell is None else ReplicaFacts(view.cell, view.active_region),
        passive=_preferred(view),
        revision=view.revision,
        is_active=view.life in _LIVING,
        life=view.life.value,
        opted_out=not view.spec.managed_failover,
        behind=(replicated.message or replicated.reason) if behind and replicated else "",
        change="" if change is None else change.id,
        change_says="" if change is None else f"{change.kind.value} ({change.progress.phase})",
    )


def _preferred(view: NamespaceView) -> tuple[ReplicaFacts, ...]:
    regions: Sequence[str] = view.spec.regions
    ranks = {region: regions.index(region) for region in regions}
    return tuple(
        ReplicaFacts(cell, replica.region, is_open(replica))
        for cell, replica in sorted(
            view.passive.items(), key=lambda item: (ranks.get(item[1].region, len(ranks)), item[0])
        )
    )


def _disturbed(ledger: LedgerView, holder: str) -> dict[str, str]:
    """Return who disturbs which cell, except for `holder`."""
    return {
        lease.cell: f"{lease.holder} is at it" for lease in ledger.leases if lease.holder != holder
    }
