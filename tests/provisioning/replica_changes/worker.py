"""The product's own workers in a process that hangs where it is to be killed.

`python -m tests.provisioning.replica_changes.worker FOLDER WORLD ENGINE NAMESPACE`. All of it is as
in production but the world, which is served by the test (`serving.py`).
"""

import asyncio
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from controlplane.payloads import data_converter
from tests.faults.deadly import Faults
from tests.provisioning.replica_changes.serving import Served, ServedFleet, ServedReplication
from tests.provisioning.replica_changes.working import workers

PORTS = (
    "databases certificates registrar ingress dns prober account_keys client_certificates "
    "projection links"
)


@dataclass
class Hanging(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Hangs before or after the activities for which a death is planned, until it comes."""

    faults: Faults
    seen: dict[str, list[str]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Hanging(next, self)

    def struck_by(self) -> str:
        """Return `before` or `after` where a death is planned for the activity that runs."""
        info = activity.info()
        namespace = (info.workflow_id or "").split("/")[1]
        if info.is_local or not (self.faults.folder / namespace).exists():
            return ""
        kind = f"{namespace} {info.workflow_type} {info.activity_type}"
        known = self.seen.setdefault(kind, [])
        this = f"{info.workflow_run_id}/{info.activity_id}"
        if this not in known:
            known.append(this)
        call = f"{info.workflow_type}.{info.activity_type}.{known.index(this) + 1}"
        fault = self.faults.take(namespace, call)
        return fault[1] if fault else ""


class _Hanging(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, hanging: Hanging) -> None:
        super().__init__(next)
        self._hanging = hanging

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        when = self._hanging.struck_by()
        if when == "before":
            await asyncio.Event().wait()
        result = await super().execute_activity(input)
        if when == "after":
            await asyncio.Event().wait()
        return result


async def main(folder: Path, world: int, engine: str, namespace: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(
        engine,
        namespace=namespace,
        data_converter=data_converter,
        interceptors=[Hanging(Faults(folder))],
    )
    ports: dict[str, Any] = {name: Served(name, world) for name in PORTS.split()}
    ports["fleet"] = ServedFleet("fleet", world, client)
    ports["replication"] = ServedReplication("replication", world)
    async with workers(client, ports):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
