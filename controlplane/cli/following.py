"""Following operations to their end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from temporalio.api.cloud.operation.v1 import AsyncOperation

from controlplane.api.fleet_types import OperationDetails
from controlplane.cli.api import Api
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet_http import ApiUnavailable
from controlplane.cli.options import WaitOptions
from controlplane.cli.output import notes, seconds
from controlplane.cli.progress import progress
from controlplane.store.operations import AccessChange
from provisioning.types import OperationKind, OperationState

POLL_EVERY = timedelta(milliseconds=150)

_DOING: dict[OperationKind | AccessChange, str] = {
    OperationKind.CREATE: "Creating namespace",
    OperationKind.UPDATE: "Updating namespace",
    OperationKind.RENAME: "Renaming a search attribute of",
    OperationKind.TAG: "Tagging namespace",
    OperationKind.DELETE: "Deleting namespace",
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


async def follow(api: Api, operation: str, within: int) -> OperationDetails:
    """Show the operation's steps until it has succeeded; raise CommandFailed if it does not."""
    with _patience(operation, within):
        async with asyncio.timeout(within):
            ended = await _ended(api, operation)
    if ended.state is not OperationState.FULFILLED:
        raise CommandFailed(
            f"{_title(ended)[0].lower()}{_title(ended)[1:]} ended {ended.state} after "
            f"{seconds(_duration(ended))}: {ended.failure_reason}"
        )
    notes().print(f"Done in {seconds(_duration(ended))}.", markup=False)
    return ended


def say_how_to_watch(operation: str) -> None:
    notes().print(
        f"Accepted. Watch it with: controlplane operation watch {operation}", markup=False
    )


async def _ended(api: Api, operation: str) -> OperationDetails:
    details = await api.fleet.operation(operation)
    with progress(_title(details)) as view:
        while True:
            view.show(details)
            if details.finished_at is not None:
                return details
            await asyncio.sleep(POLL_EVERY.total_seconds())
            # The operation goes on while the API is away, and so does watching it.
            with suppress(ApiUnavailable):
                details = await api.fleet.operation(operation)


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
