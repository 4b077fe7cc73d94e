"""The Cloud Ops API's messages, filled from what we know: its present fields and the older ones."""

import base64
from collections import Counter
from datetime import datetime, timedelta

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.namespace.v1 import (
    Namespace,
    NamespaceRegionStatus,
    Replica,
    ReplicaSpec,
)
from temporalio.api.cloud.namespace.v1 import NamespaceSpec as Declaration
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState

from controlplane.api.endpoints import Addresses
from controlplane.api.mtls import declared_client_ca, filter_message
from controlplane.api.replica_states import ReplicaState, replicas_wanted
from controlplane.api.search_attributes import fill_search_attributes
from controlplane.api.versions import LATEST, ApiVersion, hide_what_breaks
from controlplane.store.operations import AnyOperation
from provisioning.types import NamespaceView, Operation, OperationState

CHECK_AGAIN_AFTER = timedelta(seconds=1)


def namespace_message(
    view: NamespaceView, addresses: Addresses, version: ApiVersion = LATEST
) -> Namespace:
    """Return the namespace as its account sees it."""
    message = Namespace(
        namespace=view.id,
        resource_version=view.resource_version,
        spec=declaration(view),
        state=ResourceState.Value(f"RESOURCE_STATE_{view.life.value}"),
        state_deprecated=view.life.value.replace("_", "").lower(),
        active_region=view.active_region,
        created_time=timestamp(view.created_at),
        tags=view.tags,
    )
    hide_what_breaks(version, message.spec)
    if view.modified_at is not None:
        message.last_modified_time.CopyFrom(timestamp(view.modified_at))
    open_operation = _open_operation(view)
    if open_operation is not None:
        message.async_operation_id = open_operation.id
    message.endpoints.mtls_grpc_address = addresses.certificates
    message.endpoints.grpc_address = addresses.api_keys
    if view.policy.requests_per_second:
        message.limits.actions_per_second_limit = view.policy.requests_per_second
    _fill_regions(message, view)
    return message


def declaration(view: NamespaceView) -> Declaration:
    """Return the spec as its caller declared it, unknown fields included, with the API's older and
    present fields filled alike."""
    spec = Declaration.FromString(base64.b64decode(view.spec.declaration))
    spec.name = view.id.rpartition(".")[0]
    spec.retention_days = view.spec.retention.days
    # Clients of either age read one of the two.
    spec.regions[:] = view.spec.regions
    del spec.replicas[:]
    spec.replicas.extend(ReplicaSpec(region=region) for region in view.spec.regions)
    _fill_mtls(spec, view)
    # Some clients take its absence for an unknown value.
    spec.api_key_auth.enabled = view.spec.api_keys
    spec.ClearField("search_attributes")
    spec.ClearField("custom_search_attributes")
    fill_search_attributes(spec, view.spec)
    if view.spec.delete_protection:
        spec.lifecycle.enable_delete_protection = True
    # A declaration from before these were provisioned holds them itself.
    if not view.spec.managed_failover:
        spec.high_availability.disable_managed_failover = True
    if not view.spec.forward_polls:
        spec.high_availability.disable_passive_poller_forwarding = True
    return spec


def operation_message(operation: AnyOperation, request: bytes | None) -> AsyncOperation:
    """Return the operation; `request` is the Any of the message that asked for it."""
    message = AsyncOperation(
        id=operation.id,
        state=AsyncOperation.State.Value(f"STATE_{operation.state.value}"),
        state_deprecated=operation.state.value.lower(),
        operation_type=operation.kind.value,
        failure_reason=operation.failure_reason,
        started_time=timestamp(operation.started_at),
        check_duration=_duration(CHECK_AGAIN_AFTER),
    )
    if operation.finished_at is not None:
        message.finished_time.CopyFrom(timestamp(operation.finished_at))
    if request is not None:
        message.operation_input.CopyFrom(AnyMessage.FromString(request))
    return message


def timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _duration(value: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(value)
    return message


def _open_operation(view: NamespaceView) -> Operation | None:
    at_work = (OperationState.PENDING, OperationState.IN_PROGRESS)
    return next((o for o in reversed(view.operations) if o.state in at_work), None)


def _fill_mtls(spec: Declaration, view: NamespaceView) -> None:
    if not (view.spec.client_ca or view.spec.managed_ca):
        return
    mtls = spec.mtls_auth
    mtls.enabled = True
    if view.spec.client_ca:
        mtls.accepted_client_ca = declared_client_ca(mtls) or view.spec.client_ca.encode()
        mtls.accepted_client_ca_deprecated = base64.b64encode(mtls.accepted_client_ca).decode()
    del mtls.certificate_filters[:]
    mtls.certificate_filters.extend(
        filter_message(wanted) for wanted in view.spec.certificate_filters
    )


def _fill_regions(message: Namespace, view: NamespaceView) -> None:
    replicas = replicas_wanted(view)
    shared = Counter(replica.region for replica in replicas)
    for replica in replicas:
        region = replica.region
        state = NamespaceRegionStatus.State.Value(f"STATE_{replica.state.value}")
        # Of two in one region, that of the active one: it comes first.
        if region not in message.region_status:
            message.region_status[region].state = state
            message.region_status[region].state_deprecated = replica.state.value.lower()
            message.region_status[region].async_operation_id = message.async_operation_id
        message.replicas.append(
            Replica(
                id=region if shared[region] == 1 else replica.cell or f"{region}-new",
                is_primary=replica.is_active,
                state=_replica_state(replica.state),
                region=region,
            )
        )


def _replica_state(state: ReplicaState) -> Replica.ReplicaState.ValueType:
    match state:
        case ReplicaState.ADDING:
            return Replica.REPLICA_STATE_ADDING
        case ReplicaState.ACTIVE | ReplicaState.PASSIVE:
            return Replica.REPLICA_STATE_ACTIVE
        case ReplicaState.REMOVING:
            return Replica.REPLICA_STATE_REMOVING
        case ReplicaState.FAILED:
            return Replica.REPLICA_STATE_FAILED
