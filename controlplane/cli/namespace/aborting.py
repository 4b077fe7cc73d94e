"""Undoing what is being done to a namespace's replicas, and watching it be undone."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from controlplane.api.fleet_types import OperationDetails
from controlplane.api.replica_types import ChangeControl
from controlplane.cli.api import Api
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet_http import ApiUnavailable
from controlplane.cli.following import POLL_EVERY
from controlplane.cli.options import ChangeOptions, confirm
from controlplane.cli.output import notes
from controlplane.cli.replica_progress import Phases
from provisioning.types import ReplicaChange


async def abort_change(
    api: Api,
    namespace: str,
    under_way: ReplicaChange,
    reason: str,
    change: ChangeOptions,
    yes: bool,
) -> OperationDetails:
    """Ask for the change to be undone, and return that request's operation; wait for it to be."""
    confirm(
        f"Undo the {under_way.kind} of {namespace}, which is in phase {under_way.progress.phase}?",
        yes,
    )
    wanted = ChangeControl(operation_id=change.name_operation(), reason=reason)
    begun = await api.fleet.abort_change(namespace, under_way.id, wanted)
    if change.no_wait:
        notes().print(
            f"Accepted. See how it is with: controlplane namespace get {namespace}", markup=False
        )
        return begun
    try:
        async with asyncio.timeout(change.within):
            await _gone(api, namespace, under_way.id)
    except TimeoutError as error:
        raise CommandFailed(
            f"not undone after {change.within} s, and going on. "
            f"See how it is with: controlplane namespace get {namespace}"
        ) from error
    return begun


async def _gone(api: Api, namespace: str, change: str) -> None:
    phases = Phases()
    while True:
        # It goes on while the API is away, and so does watching it.
        with suppress(ApiUnavailable):
            replicas = await api.fleet.replicas(namespace)
            mine = replicas.change is not None and replicas.change.id == change
            for line in phases.news(replicas if mine else None, datetime.now(UTC)):
                notes().print(line, markup=False)
            if not mine:
                return
        await asyncio.sleep(POLL_EVERY.total_seconds())
