"""What the Fleet API changes about the replicas of a namespace, its tenant's or an operator's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import cast

from google.protobuf.struct_pb2 import Struct
from pydantic import JsonValue

from controlplane.api.audit_trail import actor_of
from controlplane.api.changes import note_change
from controlplane.api.fleet_types import OperationDetails, operation_details
from controlplane.api.once import Once, claim_of
from controlplane.api.operator_calls import actor
from controlplane.api.ports import NamespaceWriter
from controlplane.api.redaction import redacted
from controlplane.api.replica_rules import check_target
from controlplane.api.replica_types import ChangeControl, NewFailover, NewMigration
from controlplane.api.strict_body import StrictBody
from controlplane.errors import invalid_argument, not_found
from controlplane.identity.types import Principal
from controlplane.ids import account_of
from controlplane.store.audit import AuditLog
from controlplane.store.audit_entries import AuditEntry
from controlplane.store.queries import ReadModel
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    FailOver,
    MigrateNamespace,
    NamespaceView,
    OperationKind,
)


@dataclass(frozen=True)
class ReplicaChanges:
    """Each is an operation of the namespace's account, whoever asks for it: its tenant sees it, and
    has it in its audit log."""

    reads: ReadModel
    once: Once
    writer: NamespaceWriter
    log: AuditLog

    async def known(self, namespace: str) -> NamespaceView:
        """Return the namespace, whosever it is."""
        view = await self.reads.namespace(account_of(namespace), namespace)
        if view is None:
            raise not_found(f"namespace {namespace!r} not found")
        return view

    async def fail_over(
        self, caller: Principal, namespace: str, operation: str, wanted: NewFailover
    ) -> OperationDetails:
        if bool(wanted.region) == bool(wanted.cell):
            raise invalid_argument(
                "a failover goes to a region or to a cell: send one of `region` and `cell`"
            )

        async def ask(view: NamespaceView) -> NamespaceView:
            if wanted.region:
                check_target(view, wanted.region)
            begun = await self.writer.fail_over(
                namespace,
                FailOver(
                    operation,
                    region=wanted.region,
                    cell=wanted.cell,
                    mode=wanted.mode,
                    cause=wanted.cause,
                    reason=_signed(caller, namespace, wanted.reason),
                ),
            )
            note_change(
                {"activeRegion": view.active_region, "activeCell": view.cell},
                {"activeRegion": wanted.region, "activeCell": wanted.cell or None},
            )
            return begun

        return await self._begin(caller, OperationKind.FAIL_OVER, namespace, operation, wanted, ask)

    async def migrate(
        self, caller: Principal, namespace: str, operation: str, wanted: NewMigration
    ) -> OperationDetails:
        async def ask(_: NamespaceView) -> NamespaceView:
            region = wanted.region or await self._region(wanted.cell)
            return await self.writer.migrate(
                namespace,
                MigrateNamespace(
                    operation,
                    source=wanted.source,
                    region=region,
                    cell=wanted.cell,
                    soak=wanted.soak,
                    confirmed=wanted.confirmed,
                    reason=_signed(caller, namespace, wanted.reason),
                ),
            )

        return await self._begin(caller, OperationKind.MIGRATE, namespace, operation, wanted, ask)

    async def confirm(
        self, caller: Principal, namespace: str, change: str, operation: str, asked: ChangeControl
    ) -> OperationDetails:
        """Let a migration give up the former cell: there is no way back."""

        async def ask(_: NamespaceView) -> NamespaceView:
            return await self.writer.confirm_migration(
                namespace, ConfirmMigration(operation, change)
            )

        return await self._begin(
            caller, OperationKind.CONFIRM_MIGRATION, namespace, operation, asked, ask, change
        )

    async def abort(
        self, caller: Principal, namespace: str, change: str, operation: str, asked: ChangeControl
    ) -> OperationDetails:
        async def ask(_: NamespaceView) -> NamespaceView:
            return await self.writer.abort_change(
                namespace,
                AbortReplicaChange(operation, change, _signed(caller, namespace, asked.reason)),
            )

        return await self._begin(
            caller, OperationKind.ABORT_CHANGE, namespace, operation, asked, ask, change
        )

    async def _region(self, cell: str) -> str:
        """Return where a cell that is named is; empty where none is."""
        if not cell:
            return ""
        found = await self.reads.cell(cell)
        if found is None:
            raise not_found(f"cell {cell!r} not found: `controlplane cell list` shows them all")
        return found.spec.region

    async def _begin(
        self,
        caller: Principal,
        kind: OperationKind,
        namespace: str,
        operation: str,
        asked: StrictBody,
        ask: Callable[[NamespaceView], Awaitable[NamespaceView]],
        change: str = "",
    ) -> OperationDetails:
        fields: dict[str, JsonValue] = {"namespace": namespace}
        fields |= asked.model_dump(mode="json", exclude_defaults=True, exclude={"operation_id"})
        if change:
            fields["change"] = change
        request = Struct()
        request.update(fields)

        async def ask_present() -> NamespaceView:
            return await ask(await self.known(namespace))

        claim = claim_of(caller, kind, namespace, request, operation)
        claim = replace(claim, account=account_of(namespace))
        begun = await self.once.begin(claim, ask_present)
        if claim.account != caller.account.id:
            await self._tell_tenant(caller, kind, namespace, operation, cast(JsonValue, fields))
        return operation_details(namespace, begun)

    async def _tell_tenant(
        self,
        caller: Principal,
        kind: OperationKind,
        namespace: str,
        operation: str,
        request: JsonValue,
    ) -> None:
        """Record in the account whose namespace it is what an operator did to it.

        Under the source of records that are made up for later: it is recorded once, here or there.
        """
        await self.log.append(
            AuditEntry(
                account=account_of(namespace),
                source=f"operation/{operation}",
                number=1,
                what=kind.value,
                status="OK",
                actor=actor_of(caller),
                operation=operation,
                details={
                    "request": redacted(request),
                    "namespace": namespace,
                    "message": "asked for by an operator of the fleet",
                },
            )
        )


def _signed(caller: Principal, namespace: str, reason: str) -> str:
    """Return the reason, with who gives it where that is not the tenant."""
    if caller.account.id == account_of(namespace):
        return reason
    by = actor(caller)
    return f"{reason} ({by})" if reason else by
