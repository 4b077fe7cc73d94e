"""Namespaces on the cells' Temporal services, through their frontends."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    DeleteNamespaceRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.replication.v1 import ClusterReplicationConfig
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
    GetClusterInfoRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import rejected, throttled
from provisioning.ports import CellDirectory, Incarnation
from provisioning.types import RegistrationFacts, SearchAttributeType

UID = "controlplane.uid"
"""Where the namespace's data says which incarnation it is."""

_CALL = timedelta(seconds=5)
_BUSY = timedelta(seconds=1)
"""How long to leave a service alone that says it has too much to do."""
_VISIBLE_WITHIN = 5.0  # Seconds.
_LOOK_EVERY = 0.05  # Seconds.

# A change of the request or of the service's state is needed: trying again cannot help.
_HOPELESS = {
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNIMPLEMENTED,
}


class TemporalRegistrar:
    """Registers and deletes namespaces: `provisioning.ports.Registrar`."""

    def __init__(self, directory: CellDirectory) -> None:
        self._directory = directory
        self._clients: dict[str, Client] = {}
        self._cluster_names: dict[str, str] = {}

    async def register(
        self,
        target: Incarnation,
        retention: timedelta,
        search_attributes: dict[str, SearchAttributeType],
    ) -> RegistrationFacts:
        client = await self._client(target)
        with _translated(target, "register the namespace"):
            created = await self._create(client, target, retention)
            found = await _describe(client, target)
            if found is None:
                raise LookupError(f"{_called(target)} was deleted while it was registered")
            if found.uid != target.uid:
                raise rejected(
                    f"{_called(target)} belongs to somebody else: its data has {UID} "
                    f"{found.uid or 'unset'}, not {target.uid}. Delete it there, or choose "
                    "another name"
                )
            if not created and found.retention != retention:
                await _change_retention(client, target, retention)
        with _translated(target, "add search attributes"):
            present = await _ensure_search_attributes(client, target, search_attributes)
        return RegistrationFacts(found.uuid, retention, present)

    async def deregister(self, target: Incarnation) -> None:
        client = await self._client(target)
        with _translated(target, "delete the namespace"):
            found = await _describe(client, target)
            if found is None or found.uid != target.uid:
                return
            # By its own id: whoever has the name by the time of the call is not meant.
            await client.operator_service.delete_namespace(
                DeleteNamespaceRequest(namespace_id=found.uuid), timeout=_CALL
            )

            async def is_gone() -> bool:
                left = await _describe(client, target)
                return left is None or left.uuid != found.uuid

            await _until(is_gone, f"{_called(target)} was deleted and is still there")

    async def observe(self, target: Incarnation) -> RegistrationFacts | None:
        client = await self._client(target)
        with _translated(target, "look at the namespace"):
            found = await _describe(client, target)
            if found is None or found.uid != target.uid:
                return None
            present = await _search_attributes(client, target)
        return RegistrationFacts(found.uuid, found.retention, present)

    async def _client(self, target: Incarnation) -> Client:
        address = (await self._directory.locate(target.cell)).frontend
        client = self._clients.get(address)
        if client is None:
            client = await Client.connect(address, lazy=True, identity="controlplane")
            self._clients[address] = client
        return client

    async def _create(self, client: Client, target: Incarnation, retention: timedelta) -> bool:
        """Register the namespace; return False when the name is taken, by us or by another."""
        cluster = await self._cluster_name(client)
        request = RegisterNamespaceRequest(
            namespace=target.namespace,
            data={UID: target.uid},
            # Global from birth: a namespace made local can never have a replica without a
            # promotion, and a promotion cannot be taken back.
            is_global_namespace=True,
            clusters=[ClusterReplicationConfig(cluster_name=cluster)],
            active_cluster_name=cluster,
        )
        request.workflow_execution_retention_period.FromTimedelta(retention)
        try:
            await client.workflow_service.register_namespace(request, timeout=_CALL)
        except RPCError as error:
            if error.status is RPCStatusCode.ALREADY_EXISTS:
                return False
            raise
        return True

    async def _cluster_name(self, client: Client) -> str:
        """Return what the cell's service calls itself, which never changes."""
        address = client.service_client.config.target_host
        if address not in self._cluster_names:
            info = await client.workflow_service.get_cluster_info(
                GetClusterInfoRequest(), timeout=_CALL
            )
            self._cluster_names[address] = info.cluster_name
        return self._cluster_names[address]


@dataclass(frozen=True)
class _Found:
    uuid: str
    uid: str
    """Empty for a namespace that is not the control plane's."""
    retention: timedelta


async def _describe(client: Client, target: Incarnation) -> _Found | None:
    try:
        answer = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=target.namespace), timeout=_CALL
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return _Found(
        uuid=answer.namespace_info.id,
        uid=answer.namespace_info.data.get(UID, ""),
        retention=answer.config.workflow_execution_retention_ttl.ToTimedelta(),
    )


async def _change_retention(client: Client, target: Incarnation, retention: timedelta) -> None:
    request = UpdateNamespaceRequest(namespace=target.namespace)
    request.config.workflow_execution_retention_ttl.FromTimedelta(retention)
    await client.workflow_service.update_namespace(request, timeout=_CALL)


async def _search_attributes(client: Client, target: Incarnation) -> dict[str, SearchAttributeType]:
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=target.namespace), timeout=_CALL
    )
    return {
        name: SearchAttributeType(IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_"))
        for name, kind in sorted(answer.custom_attributes.items())
    }


async def _ensure_search_attributes(
    client: Client, target: Incarnation, wanted: dict[str, SearchAttributeType]
) -> dict[str, SearchAttributeType]:
    """Add what is missing of `wanted` and return all there are, once they can be used."""
    present = await _search_attributes(client, target)
    _check_types(target, wanted, present)
    missing = wanted.keys() - present.keys()
    if not missing:
        return present
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=target.namespace,
            search_attributes={
                name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{wanted[name]}")
                for name in sorted(missing)
            },
        ),
        timeout=_CALL,
    )
    await _until(
        lambda: _are_queryable(client, target, missing),
        f"{_called(target)} has the new search attributes {', '.join(sorted(missing))}, but "
        "refuses queries for them",
    )
    present = await _search_attributes(client, target)
    _check_types(target, wanted, present)
    return present


def _check_types(
    target: Incarnation,
    wanted: dict[str, SearchAttributeType],
    present: dict[str, SearchAttributeType],
) -> None:
    """Refuse a change of type: the service takes such a request, and does nothing."""
    for name, kind in wanted.items():
        if present.get(name, kind) is not kind:
            raise rejected(
                f"search attribute {name} of {_called(target)} is a {present[name]} and cannot "
                f"become a {kind}: choose another name for it"
            )


async def _are_queryable(client: Client, target: Incarnation, names: set[str]) -> bool:
    """Tell whether a query may mention the attributes, which is when workflows may set them."""
    query = " AND ".join(f"`{name}` IS NOT NULL" for name in sorted(names))
    try:
        await client.workflow_service.count_workflow_executions(
            CountWorkflowExecutionsRequest(namespace=target.namespace, query=query), timeout=_CALL
        )
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return True


async def _until(probe: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """Return once `probe` is true; the service's caches follow its database a moment later."""
    deadline = asyncio.get_running_loop().time() + _VISIBLE_WITHIN
    while not await probe():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"{otherwise} after {_VISIBLE_WITHIN:g} s")
        await asyncio.sleep(_LOOK_EVERY)


def _called(target: Incarnation) -> str:
    return f"namespace {target.namespace} in cell {target.cell}"


@contextlib.contextmanager
def _translated(target: Incarnation, attempt: str) -> Iterator[None]:
    """Turn what a Temporal service answers into what callers act on."""
    attempted = f"cell {target.cell} cannot {attempt} {target.namespace}"
    try:
        yield
    except RPCError as error:
        message = f"{attempted}: {error.message}"
        if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
            raise throttled(message, _BUSY) from error
        if error.status in _HOPELESS:
            raise rejected(message) from error
        raise ConnectionError(message) from error
    except RuntimeError as error:
        # What the SDK raises instead when it has not been connected yet.
        raise ConnectionError(f"{attempted}: {error}") from error
