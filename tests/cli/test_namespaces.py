import asyncio
import json
import os
import pty
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cells.placement import Placement, Verdict
from controlplane.store.projections import Projections
from provisioning.types import (
    NamespaceView,
    ObservedNamespace,
    OperationState,
    Step,
    StepRecord,
    StepState,
)
from tests.api.running import Tenant
from tests.cli.command import Cli, Running
from tests.eventually import eventually
from tests.store.views import CELL, REGION


def create(client_ca: Path, *more: str) -> tuple[object, ...]:
    return ("namespace", "create", "orders", "--region", REGION, "--ca-file", client_ca, *more)


async def accepted(tenant: Tenant) -> str:
    """Wait until the namespace was asked for, and return its id."""
    namespace = f"orders.{tenant.account}"

    async def is_known() -> bool:
        return namespace in tenant.api.writer.namespaces

    await eventually(is_known)
    return namespace


async def publish(tenant: Tenant, namespace: str, **changes: object) -> NamespaceView:
    """Let the entity publish its last operation with these changes."""
    writer = tenant.api.writer
    known = writer.namespaces[namespace]
    *earlier, last = known.operations
    changed = replace(
        known,
        revision=known.revision + 1000,
        operations=(*earlier, replace(last, **changes)),  # type: ignore[arg-type]
    )
    writer.namespaces[namespace] = changed
    await Projections(tenant.api.pool).publish_namespace(changed)
    return changed


def done(step: Step, milliseconds: int = 40) -> StepRecord:
    now = datetime.now(UTC)
    return StepRecord(step, StepState.DONE, now, now.replace(microsecond=0))
