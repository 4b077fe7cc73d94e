"""The Fleet API's paths about the replicas of a namespace: where they are, what is done to them.

What a tenant may do with its own namespaces, the fleet's operators may do with everybody's; moving
a namespace to another cell is for operators alone.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends

from controlplane.api.audit_trail import Call
from controlplane.api.authentication import FORWARDED_FOR
from controlplane.api.calls import Calls, answered
from controlplane.api.fleet_types import OperationDetails, operation_details
from controlplane.api.replica_changes import ReplicaChanges
from controlplane.api.replica_explanations import eta, explain_replicas
from controlplane.api.replica_types import (
    ChangeControl,
    MigrationUnderWay,
    NamespaceReplicas,
    NewFailover,
    NewMigration,
)
from controlplane.api.strict_body import KeepableText, StrictBody
from controlplane.errors import not_found
from controlplane.identity.types import Principal
from controlplane.ids import account_of
from controlplane.store.availability import AvailabilityProjections
from controlplane.store.replicas import StoredReplicas
from controlplane.store.replication import ReplicationLinks
from provisioning.types import FailoverCause, ReplicaChangeKind

_NAMESPACE = "/fleet/v1/namespaces/{namespace}"


@dataclass(frozen=True)
class ReplicaRoutes:
    calls: Calls
    changes: ReplicaChanges
    replicas: StoredReplicas
    links: ReplicationLinks
    availability: AvailabilityProjections

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter()

        @router.get(f"{_NAMESPACE}/replicas")
        async def replicas(caller: Caller, namespace: KeepableText) -> NamespaceReplicas:
            """Return the namespace's replicas, what is done to them, and why it is where it is."""
            action = _action(caller, namespace, "fleet.replicas", "fleet.replicas.everybodys")
            await self.calls.admitted(caller, action, namespace)
            view = await self.changes.known(namespace)
            return explain_replicas(
                view,
                await self.links.among(view.cells),
                await self.availability.read(),
                datetime.now(UTC),
            )

        @router.get(f"{_NAMESPACE}/operations/{{operation}}")
        async def operation(
            caller: Caller, namespace: KeepableText, operation: KeepableText
        ) -> OperationDetails:
            """Return an operation of the namespace, whoever asked for it."""
            action = _action(caller, namespace, "fleet.replicas", "fleet.replicas.everybodys")
            await self.calls.admitted(caller, action, namespace)
            found = await self.changes.reads.operation(account_of(namespace), operation)
            if found is None or found.namespace != namespace:
                raise not_found(f"namespace {namespace!r} has no operation {operation!r}")
            return operation_details(namespace, found.operation)

        @router.post(f"{_NAMESPACE}/failovers", status_code=202)
        async def fail_over(
            caller: Caller, namespace: KeepableText, wanted: NewFailover
        ) -> OperationDetails:
            """Make another replica the active one."""
            everybodys = "fleet.failovers.everybodys"
            action = _action(caller, namespace, "fleet.failovers", everybodys)
            if wanted.cause is not FailoverCause.MANUAL:
                action = everybodys
            return await self._change(
                _call(caller, action, namespace, wanted.operation_id, wanted),
                lambda call: self.changes.fail_over(caller, namespace, call.operation, wanted),
            )

        @router.post(f"{_NAMESPACE}/migrations", status_code=202)
        async def migrate(
            caller: Caller, namespace: KeepableText, wanted: NewMigration
        ) -> OperationDetails:
            """Move a replica of the namespace to another cell, live."""
            return await self._change(
                _call(caller, "fleet.migrations", namespace, wanted.operation_id, wanted),
                lambda call: self.changes.migrate(caller, namespace, call.operation, wanted),
            )

        @router.get("/fleet/v1/migrations")
        async def migrations(caller: Caller) -> list[MigrationUnderWay]:
            """Return every migration under way, by namespace."""
            await self.calls.admitted(caller, "fleet.migrations.read", None)
            now = datetime.now(UTC)
            return [
                MigrationUnderWay(view.id, view.change, eta(view.change, now))
                for view in await self.replicas.changing(ReplicaChangeKind.MIGRATE)
                if view.change is not None
            ]

        @router.post(f"{_NAMESPACE}/migrations/{{change}}:confirm", status_code=202)
        async def confirm(
            caller: Caller, namespace: KeepableText, change: KeepableText, asked: ChangeControl
        ) -> OperationDetails:
            """Let a migration give up the former cell. There is no way back."""
            return await self._change(
                _call(caller, "fleet.migrations", namespace, asked.operation_id, asked, change),
                lambda call: self.changes.confirm(caller, namespace, change, call.operation, asked),
            )

        @router.post(f"{_NAMESPACE}/replica-changes/{{change}}:abort", status_code=202)
        async def abort(
            caller: Caller, namespace: KeepableText, change: KeepableText, asked: ChangeControl
        ) -> OperationDetails:
            """Undo what is being done to the namespace's replicas, as far as there is a way back.

            A migration is for the fleet's operators to abort, like all of it.
            """
            action = await self._abort_action(caller, namespace)
            return await self._change(
                _call(caller, action, namespace, asked.operation_id, asked, change),
                lambda call: self.changes.abort(caller, namespace, change, call.operation, asked),
            )

        return router

    async def _abort_action(self, caller: Principal, namespace: str) -> str:
        everybodys = "fleet.migrations"
        action = _action(caller, namespace, "fleet.replica-changes.abort", everybodys)
        found = await self.changes.reads.namespace(caller.account.id, namespace)
        if found is None or found.change is None:
            return action
        return everybodys if found.change.kind is ReplicaChangeKind.MIGRATE else action

    async def _change(
        self, call: Call, begin: Callable[[Call], Awaitable[OperationDetails]]
    ) -> OperationDetails:
        return answered(await self.calls.change(call, lambda: begin(call)))


def _action(caller: Principal, namespace: str, own: str, everybodys: str) -> str:
    """Return what the caller does: something with its own namespace, or with that of another.

    Who is no operator hears of another account's namespace what it hears of one that never was.
    """
    foreign = account_of(namespace) != caller.account.id
    return everybodys if foreign and caller.account.operator else own


def _call(
    caller: Principal,
    action: str,
    namespace: str,
    operation: str,
    asked: StrictBody,
    change: str = "",
) -> Call:
    about = {"namespace": namespace, **({"change": change} if change else {})}
    return Call(
        caller,
        action,
        namespace,
        operation or str(uuid4()),
        lambda: {**asked.model_dump(mode="json", exclude_unset=True), **about},
        FORWARDED_FOR.get(),
    )
