"""Namespaces on the cells' Temporal services, through their frontends."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.replication.v1 import ClusterReplicationConfig
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    GetClusterInfoRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import rejected
from provisioning import search_attributes as attributes
from provisioning.frontend import CALL, called, translated, until
from provisioning.ports import CellDirectory, Incarnation
from provisioning.types import RegistrationFacts, SearchAttributeType

UID = "controlplane.uid"
"""Where the namespace's data says which incarnation it is."""

_OPEN = NamespaceState.NAMESPACE_STATE_REGISTERED
_GONE_WITHIN = 12.0  # Seconds: many deletions at once wait for each other in the service.


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
        with translated(target, "register the namespace"):
            created = await self._create(client, target, retention)
            found = await _require(client, target)
            if not created and found.retention != retention:
                await _change_retention(client, target, retention)
        with translated(target, "add search attributes"):
            present = await attributes.ensure(client, target, search_attributes)
        return RegistrationFacts(found.uuid, retention, present.types, present.fields)

    async def rename(self, target: Incarnation, field: str, old: str, new: str) -> None:
        client = await self._client(target)
        with translated(target, "rename a search attribute of"):
            await _require(client, target)
            await attributes.rename(client, target, field, old, new)

    async def deregister(self, target: Incarnation) -> None:
        client = await self._client(target)
        with translated(target, "delete the namespace"):
            found = await _describe(client, target)
            if found is None or found.uid != target.uid:
                return
            # By its own id: whoever has the name by the time of the call is not meant.
            await client.operator_service.delete_namespace(
                DeleteNamespaceRequest(namespace_id=found.uuid), timeout=CALL
            )

            async def is_gone() -> bool:
                left = await _describe(client, target)
                return left is None or left.uuid != found.uuid

            still_there = f"{called(target)} was deleted and is still there"
            await until(is_gone, still_there, within=_GONE_WITHIN)

    async def observe(self, target: Incarnation) -> RegistrationFacts | None:
        """Return what there is; None also for a namespace that takes no workflows any more."""
        client = await self._client(target)
        with translated(target, "look at the namespace"):
            found = await _describe(client, target)
            if found is None or found.uid != target.uid or found.state != _OPEN:
                return None
            present = await attributes.read(client, target)
        return RegistrationFacts(found.uuid, found.retention, present.types, present.fields)

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
            await client.workflow_service.register_namespace(request, timeout=CALL)
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
                GetClusterInfoRequest(), timeout=CALL
            )
            self._cluster_names[address] = info.cluster_name
        return self._cluster_names[address]


@dataclass(frozen=True)
class _Found:
    uuid: str
    uid: str
    """Empty for a namespace that is not the control plane's."""
    state: NamespaceState.ValueType
    retention: timedelta


async def _require(client: Client, target: Incarnation) -> _Found:
    """Return the namespace, or raise what says why it is not the one that is meant."""
    found = await _describe(client, target)
    if found is None:
        raise LookupError(f"{called(target)} was deleted while it was worked on")
    if found.uid != target.uid:
        raise rejected(
            f"{called(target)} belongs to somebody else: its data has {UID} "
            f"{found.uid or 'unset'}, not {target.uid}. Delete it there, or choose another name"
        )
    if found.state == NamespaceState.NAMESPACE_STATE_DEPRECATED:
        raise rejected(
            f"{called(target)} was deprecated there, which cannot be taken back: delete the "
            "namespace and create it again"
        )
    if found.state != _OPEN:
        raise LookupError(f"{called(target)} is being deleted there")
    return found


async def _describe(client: Client, target: Incarnation) -> _Found | None:
    try:
        answer = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=target.namespace), timeout=CALL
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    info = answer.namespace_info
    return _Found(
        uuid=info.id,
        uid=info.data.get(UID, ""),
        state=info.state,
        retention=answer.config.workflow_execution_retention_ttl.ToTimedelta(),
    )


async def _change_retention(client: Client, target: Incarnation, retention: timedelta) -> None:
    request = UpdateNamespaceRequest(namespace=target.namespace)
    request.config.workflow_execution_retention_ttl.FromTimedelta(retention)
    await client.workflow_service.update_namespace(request, timeout=CALL)
