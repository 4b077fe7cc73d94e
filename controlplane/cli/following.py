"""Following operations to their end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from temporalio.api.cloud.operation.v1 import AsyncOperation

from controlplane.api.fleet_types import OperationDetails
from controlplane.api.replica_types import NamespaceReplicas
from controlplane.cli.api import Api
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet_http import ApiUnavailable, NotFound
from controlplane.cli.options import WaitOptions
from controlplane.cli.output import notes, seconds
from controlplane.cli.progress import progress
from controlplane.cli.replica_progress import waits_for, what_to_do
from controlplane.store.operations import AccessChange
from provisioning.types import OperationKind, OperationState

_ABOUT_REPLICAS = (
    OperationKind.CREATE,
    OperationKind.UPDATE,
    OperationKind.ADD_REGION,
    OperationKind.REMOVE_REGION,
    OperationKind.FAIL_OVER,
    OperationKind.MIGRATE,
)
POLL_EVERY = timedelta(milliseconds=150)

_DOING: dict[OperationKind | AccessChange, str] = {
    OperationKind.CREATE: "Creating namespace",
    OperationKind.UPDATE: "Updating namespace",
    OperationKind.RENAME: "Renaming a search attribute of",
    OperationKind.TAG: "Tagging namespace",
    OperationKind.DELETE: "Deleting namespace",
    OperationKind.ADD_REGION: "Adding a region to",
    OperationKind.REMOVE_REGION: "Removing a region of",
    OperationKind.FAIL_OVER: "Failing over",
    OperationKind.MIGRATE: "Migrating",
    OperationKind.CONFIRM_MIGRATION: "Confirming a migration of",
    OperationKind.ABORT_CHANGE: "Aborting what is done to the replicas of",
    OperationKind.LIMIT: "Limiting the requests to",
    OperationKind.REVOKE: "Revoking a client certificate of",
    OperationKind.RESTORE: "Restoring a client certificate of",
    OperationKind.ISSUE: "Issuing a client certificate of",
    OperationKind.INSPECT: "Inspecting namespace",
    AccessChange.CREATE_API_KEY: "Creating the API key",
    AccessChange.UPDATE_API_KEY: "Changing the API key",
    AccessChange.DELETE_API_KEY: "Deleting the API key",
    AccessChange.CREATE_SERVICE_ACCOUNT: "Creating the service account",
    AccessChange.UPDATE_SERVICE_ACCOUNT: "Changing the service account",
    AccessChange.DELETE_SERVICE_ACCOUNT: "Deleting the service account",
    AccessChange.SET_SERVICE_ACCOUNT_NAMESPACE_ACCESS: "Changing access to a namespace",
}


async def conclude(api: Api, accepted: AsyncOperation, wait: WaitOptions) -> AsyncOperation:
    """Stay with the operation until it has succeeded, and return it as it is then.

    Told not to wait, say how to watch it. Raise CommandFailed if it does not succeed.
    """
    if wait.no_wait:
        say_how_to_watch(accepted.id)
        return accepted
    if accepted.state == AsyncOperation.STATE_FULFILLED:
        return accepted
    await follow(api, accepted.id, wait.within)
    return await api.operation(accepted.id)


async def follow(api: Api, operation: str, within: int, namespace: str = "") -> OperationDetails:
    """Show the operation's steps until it has succeeded; raise CommandFailed if it does not.

    One that waits for a person is shown until it does. With `namespace`, the operation may be one
    of another account, which operators see.
    """
    with _patience(operation, within):
        async with asyncio.timeout(within):
            ended, replicas = await _ended(api, operation, namespace)
    if replicas is not None and ended.finished_at is None:
        notes().print(what_to_do(replicas), markup=False)
        return ended
    if ended.state is not OperationState.FULFILLED:
        title = _title(ended)
        raise CommandFailed(
            f"{title[0].lower()}{title[1:]} ended {ended.state} after "
            f"{seconds(_duration(ended))}: {ended.failure_reason}"
        )
    notes().print(f"Done in {seconds(_duration(ended))}.", markup=False)
    return ended


def say_how_to_watch(operation: str) -> None:
    notes().print(
        f"Accepted. Watch it with: controlplane operation watch {operation}", markup=False
    )


async def _ended(
    api: Api, operation: str, namespace: str
) -> tuple[OperationDetails, NamespaceReplicas | None]:
    """Return the operation once it has ended, or once it waits for a person; with that what it does
    to a namespace's replicas."""
    details, replicas = await _look(api, operation, namespace)
    with progress(_title(details)) as view:
        while True:
            view.show(details, replicas)
            if details.finished_at is not None or waits_for(replicas):
                return details, replicas
            await asyncio.sleep(POLL_EVERY.total_seconds())
            # The operation goes on while the API is away, and so does watching it.
            with suppress(ApiUnavailable):
                details, replicas = await _look(api, operation, namespace)


async def _look(
    api: Api, operation: str, namespace: str
) -> tuple[OperationDetails, NamespaceReplicas | None]:
    details = (
        await api.fleet.operation_of(namespace, operation)
        if namespace
        else await api.fleet.operation(operation)
    )
    if details.kind not in _ABOUT_REPLICAS or details.finished_at is not None:
        return details, None
    try:
        replicas = await api.fleet.replicas(details.namespace)
    except NotFound:
        return details, None
    mine = replicas.change is not None and replicas.change.operation in ("", operation)
    return details, replicas if mine else None


@contextmanager
def _patience(operation: str, within: int) -> Iterator[None]:
    """Say how to come back to an operation that is not waited for any longer."""
    how_to_watch = f"Watch it with: controlplane operation watch {operation}"
    try:
        yield
    except TimeoutError as error:
        raise CommandFailed(f"not done after {within} s, and going on. {how_to_watch}") from error
    except asyncio.CancelledError:
        notes().print(f"\nThe operation goes on. {how_to_watch}", markup=False)
        raise


def _title(operation: OperationDetails) -> str:
    return f"{_DOING[operation.kind]} {operation.namespace}".rstrip()


def _duration(operation: OperationDetails) -> timedelta:
    return (operation.finished_at or datetime.now(UTC)) - operation.started_at
