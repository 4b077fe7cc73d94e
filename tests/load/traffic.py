"""What the clients of a loaded namespace do: connect, work, and start workflows on schedule."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, TLSConfig
from temporalio.worker import Worker

from provisioning.certificates.x509 import CertificateAndKey
from tests.e2e.greeting import Greeting, greet
from tests.load.outcomes import Connected, Ended, Schedule

TASK_QUEUE = "load"
GIVE_UP_SECONDS = 150.0
_AGAIN_SECONDS = 0.2


@dataclass(frozen=True)
class Entrance:
    """How to reach a namespace. The credential is read anew for every connection."""

    namespace: str
    address: str
    server_name: str
    ca_file: str
    identity_file: str = ""
    """PEM: a client certificate and its key; without one, `api_key_file` holds the credential."""
    api_key_file: str = ""

    async def connect(self) -> Client:
        """Connect with default settings, as the documentation tells."""
        ca = _read(self.ca_file)
        if self.identity_file:
            identity = CertificateAndKey.from_pem(_read(self.identity_file))
            tls = TLSConfig(ca, self.server_name, identity.certificate_pem, identity.key_pem)
            return await Client.connect(self.address, namespace=self.namespace, tls=tls)
        return await Client.connect(
            self.address,
            namespace=self.namespace,
            tls=TLSConfig(ca, self.server_name),
            api_key=_read(self.api_key_file).decode().strip(),
        )


def _read(file: str) -> bytes:
    return Path(file).read_bytes()


@dataclass
class Traffic:
    """A worker of one namespace and the client that starts workflows for it, open loop."""

    entrance: Entrance
    tell: Callable[[Ended | Connected], None]
    closing: AsyncExitStack
    _client: Client = field(init=False)
    _worker: Worker = field(init=False)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        self._client = await self.entrance.connect()
        self._worker = await self.closing.enter_async_context(
            Worker(self._client, task_queue=TASK_QUEUE, workflows=[Greeting], activities=[greet])
        )

    async def reconnect(self) -> None:
        """Connect anew, as persistently as it takes, and leave the old connection to its end."""
        begin, refusals = time.monotonic(), []
        while True:
            try:
                self._client = await self.entrance.connect()
                break
            except RuntimeError as refused:  # Which is what the SDK raises.
                refusals.append(str(refused))
                await asyncio.sleep(_AGAIN_SECONDS)
        self._worker.client = self._client
        end = time.monotonic()
        self.tell(Connected(self.entrance.namespace, end, end - begin, tuple(refusals)))

    async def follow(self, schedule: Schedule, stopped: asyncio.Event) -> int:
        """Start every workflow when it is due until told to stop; return how many, all ended."""
        for number in count():
            due = schedule.due(self.entrance.namespace, number)
            try:
                async with asyncio.timeout(max(due - time.monotonic(), 0)):
                    await stopped.wait()
            except TimeoutError:
                task = asyncio.create_task(self._complete(number))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            else:
                break
        await asyncio.gather(*self._running)
        return number

    async def _complete(self, number: int) -> None:
        errors: list[str] = []
        greeting = None
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while greeting is None:
                    try:
                        greeting = await (await self._start(number)).result()
                    except RPCError as error:
                        errors.append(f"{error.status.name}: {error.message}")
                        await asyncio.sleep(_AGAIN_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, a tenant saw it
            errors.append(f"{type(error).__name__}: {error}")
        self.tell(
            Ended(
                self.entrance.namespace,
                number,
                time.monotonic(),
                greeting == f"hello, {number}",
                tuple(errors),
            )
        )

    async def _start(self, number: int) -> WorkflowHandle[Greeting, str]:
        """Start the workflow of this number; once, however often it is asked for."""
        workflow_id = f"load-{number}"
        try:
            return await self._client.start_workflow(
                Greeting.run,
                str(number),
                id=workflow_id,
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
        except WorkflowAlreadyStartedError:
            return self._client.get_workflow_handle_for(Greeting.run, workflow_id)
