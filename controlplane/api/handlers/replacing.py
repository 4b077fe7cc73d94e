"""Replacing the spec of a namespace by one that was made of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from google.protobuf.json_format import MessageToDict
from temporalio.exceptions import ApplicationError

from controlplane.api.changes import note_change
from controlplane.api.messages import declaration
from controlplane.api.ports import NamespaceWriter
from controlplane.errors import ErrorType, not_found
from controlplane.identity.types import Principal
from controlplane.store.queries import ReadModel
from provisioning.types import NamespaceSpec, NamespaceView, OperationKind, UpdateNamespace

PAUSES_AFTER_CONFLICT = (0.05, 0.1, 0.2)
"""Seconds. Whoever got in between has its change published by then, and we read it."""


@dataclass(frozen=True)
class Replacing:
    reads: ReadModel
    writer: NamespaceWriter

    async def visible(self, caller: Principal, namespace: str) -> NamespaceView:
        """Return the namespace; one of another account is as absent as one that never was."""
        view = await self.reads.namespace(caller.account.id, namespace)
        if view is None:
            raise not_found(f"namespace {namespace!r} not found")
        return view

    async def replace(
        self,
        caller: Principal,
        namespace: str,
        resource_version: str,
        operation: str,
        kind: OperationKind,
        spec_of: Callable[[NamespaceView], Awaitable[NamespaceSpec]],
    ) -> NamespaceView:
        """Ask for the whole spec to be replaced by what `spec_of` makes of the present one.

        What the caller leaves as it is comes from the spec that we read, so the entity has to be at
        that version still; a caller who names none is asked nothing, and served anew.
        """
        for pause in (*PAUSES_AFTER_CONFLICT, None):
            view = await self.visible(caller, namespace)
            spec = await spec_of(view)
            version = resource_version or view.resource_version
            try:
                updated = await self.writer.update(
                    namespace, UpdateNamespace(operation, version, spec, kind)
                )
            except ApplicationError as refusal:
                conflict = refusal.type == ErrorType.FAILED_PRECONDITION
                if resource_version or pause is None or not conflict:
                    raise
                await asyncio.sleep(pause)
            else:
                _note(view, updated)
                return updated
        raise AssertionError("the last try returns or raises")


def _note(view: NamespaceView, updated: NamespaceView) -> None:
    before, after = MessageToDict(declaration(view)), MessageToDict(declaration(updated))
    changed = [
        field for field in before.keys() | after.keys() if before.get(field) != after.get(field)
    ]
    note_change(
        {field: before.get(field) for field in sorted(changed)},
        {field: after.get(field) for field in sorted(changed)},
    )
