"""What a cell's Temporal service has on record about a namespace's replication."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.enums.v1 import ReplicationState as ApiState
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.replication.v1 import (
    ClusterReplicationConfig,
    NamespaceReplicationConfig,
)
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    GetClusterInfoRequest,
    UpdateNamespaceRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import failed_precondition, rejected
from provisioning.frontend import CALL, called
from provisioning.ports import Incarnation
from provisioning.replicas.services import CellService
from provisioning.replicas.types import ReplicationState
from provisioning.temporal import UID

_KNOWS_WHAT_IT_SERVES_BY = (1, 32)
"""From this server version on, a namespace can be described as it is served just now."""


@dataclass(frozen=True)
class Record:
    """A namespace on one cell's service."""

    uuid: str
    name: str
    """Another one once it is being deleted."""
    uid: str
    """Empty for a namespace that is not the control plane's."""
    is_global: bool
    is_deleted: bool
    """Whether it is on its way out."""
    active: str
    cells: tuple[str, ...]
    state: ReplicationState
    failover_version: int


async def find(service: CellService, name: str, *, served: bool = False) -> Record | None:
    """Return the namespace of that name: on record, or (from 1.32 on) as it is `served`."""
    return await _describe(
        service, DescribeNamespaceRequest(namespace=name, weak_consistency=served)
    )


async def find_by_id(service: CellService, uuid: str) -> Record | None:
    return await _describe(service, DescribeNamespaceRequest(id=uuid))


async def find_ours(service: CellService, target: Incarnation) -> Record | None:
    """Return the namespace; None when it is gone, on its way out, or another one of that name."""
    found = await find(service, target.namespace)
    return None if found is None or found.is_deleted or found.uid != target.uid else found


async def require(service: CellService, target: Incarnation) -> Record:
    """Return the namespace, or raise what says why it is not the one that is meant."""
    found = await find(service, target.namespace)
    if found is None or found.is_deleted:
        raise rejected(f"{called(target)} is not there: it was deleted, or never got there")
    if found.uid != target.uid:
        raise rejected(
            f"{called(target)} belongs to somebody else: its data has {UID} "
            f"{found.uid or 'unset'}, not {target.uid}"
        )
    return found


async def require_active(service: CellService, active: Incarnation) -> Record:
    """Return the namespace where it is active; raise when it is active elsewhere."""
    record = await require(service, active)
    if record.active != active.cell:
        raise failed_precondition(
            f"{called(active)} is not active there but in {record.active}: it was failed over"
        )
    return record


async def set_cells(service: CellService, record: Record, cells: Sequence[str]) -> None:
    """Tell the namespace in which cells it has replicas; repeated, it is told to them again."""
    await _update(
        service,
        UpdateNamespaceRequest(
            namespace=record.name,
            promote_namespace=not record.is_global,
            replication_config=NamespaceReplicationConfig(
                clusters=[
                    ClusterReplicationConfig(cluster_name=service.name_of(cell)) for cell in cells
                ]
            ),
        ),
    )


async def set_active(service: CellService, record: Record, cell: str) -> None:
    """Make a cell the active one, as this service sees it; that ends a handover, too."""
    await _update(
        service,
        UpdateNamespaceRequest(
            namespace=record.name,
            replication_config=NamespaceReplicationConfig(
                active_cluster_name=service.name_of(cell)
            ),
        ),
    )


async def end_handover(service: CellService, record: Record) -> None:
    await _update(
        service,
        UpdateNamespaceRequest(
            namespace=record.name,
            replication_config=NamespaceReplicationConfig(state=ApiState.REPLICATION_STATE_NORMAL),
        ),
    )


async def delete(service: CellService, record: Record) -> None:
    """Delete the namespace in this cell alone, by its id: whoever has its name is not meant."""
    await service.client.operator_service.delete_namespace(
        DeleteNamespaceRequest(namespace_id=record.uuid), timeout=CALL
    )


async def tells_what_it_serves(service: CellService) -> bool:
    """Tell whether the service can be asked what it serves by, and not only what is on record."""
    info = await service.client.workflow_service.get_cluster_info(
        GetClusterInfoRequest(), timeout=CALL
    )
    major, minor, *_ = info.server_version.split(".")
    return (int(major), int(minor)) >= _KNOWS_WHAT_IT_SERVES_BY


async def _update(service: CellService, request: UpdateNamespaceRequest) -> None:
    await service.client.workflow_service.update_namespace(request, timeout=CALL)


async def _describe(service: CellService, request: DescribeNamespaceRequest) -> Record | None:
    try:
        answer = await service.client.workflow_service.describe_namespace(request, timeout=CALL)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    info, replication = answer.namespace_info, answer.replication_config
    in_handover = replication.state == ApiState.REPLICATION_STATE_HANDOVER
    return Record(
        uuid=info.id,
        name=info.name,
        uid=info.data.get(UID, ""),
        is_global=answer.is_global_namespace,
        is_deleted=info.state == NamespaceState.NAMESPACE_STATE_DELETED,
        active=service.cell_called(replication.active_cluster_name),
        cells=tuple(service.cell_called(c.cluster_name) for c in replication.clusters),
        state=ReplicationState.HANDOVER if in_handover else ReplicationState.NORMAL,
        failover_version=answer.failover_version,
    )
