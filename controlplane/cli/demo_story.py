"""The demo's story: a namespace is created, its owner works in it, and nobody else gets in.

Everything goes through what any user has: the API, the certificate commands, the endpoint.
"""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec

from controlplane.api.fleet_types import OperationDetails
from controlplane.cli.api import Api, NamespaceExists, connect
from controlplane.cli.certs import new_authority, new_client
from controlplane.cli.command import command
from controlplane.cli.connection import Connection, resolve
from controlplane.cli.demo_clients import complete_workflow, refusal
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet_progress import start_progress
from controlplane.cli.following import follow
from controlplane.cli.key_files import KeyFiles
from controlplane.cli.output import results, seconds, table
from controlplane.cli.progress import title_of
from controlplane.cli.spec.options import SpecOptions, new_spec
from controlplane.cli.worker_connection import WorkerConnection, worker_connection
from controlplane.local.failures import FleetFailed
from controlplane.local.fleet import Fleet
from controlplane.local.home import HOME_VARIABLE, Home
from controlplane.local.temporal_server import ENGINE_NAMESPACE

NAME = "orders"
REGION = "aws-us-east-1"
RETENTION_DAYS = 7
CA_VALIDITY = timedelta(days=3650)
CLIENT_VALIDITY = timedelta(days=90)
CREATION_SECONDS = 120


@dataclass
class Story:
    """What has happened so far, and how long each part took."""

    took: list[tuple[str, timedelta]] = field(default_factory=list)
    _chapters: int = 0

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """Announce what comes; remember how long it took."""
        self._chapters += 1
        results().print(f"\n[bold]{self._chapters}. {title}[/]")
        start = time.monotonic()
        place = len(self.took)
        yield
        self.took.insert(place, (title, timedelta(seconds=time.monotonic() - start)))

    def say(self, text: str) -> None:
        results().print(f"   {text}", markup=False)

    def steps(self, creation: OperationDetails) -> None:
        """Remember the steps of an operation as parts of this chapter."""
        self.took.extend(
            (f"  {title_of(step)}", step.finished_at - step.started_at)
            for step in creation.steps
            if step.finished_at is not None
        )

    def summary(self) -> None:
        rows = table("WHAT HAPPENED", "TOOK")
        rows.columns[1].justify = "right"
        for what, duration in self.took:
            rows.add_row(what, seconds(duration))
        results().print()
        results().print(rows)


@command
async def play(home: Path | None) -> None:
    """Tell the story from the beginning, in the fleet of this home."""
    story = Story()
    try:
        chosen = Home.choose(home)
        with (
            story.chapter("Start the embedded fleet"),
            start_progress(f"   in {chosen.path}") as progress,
        ):
            record = await Fleet(chosen).up(progress)
        connection = await resolve(None, None, None, env={HOME_VARIABLE: str(chosen.path)})
    except FleetFailed as failure:
        raise CommandFailed(str(failure)) from failure
    await use_namespace(story, connection, chosen.folder("demo"))
    story.summary()
    _say_what_next(
        chosen, f"http://{record.address('engine-ui')}/namespaces/{ENGINE_NAMESPACE}/workflows"
    )


async def use_namespace(story: Story, connection: Connection, folder: Path) -> WorkerConnection:
    """Create the namespace, work in it and try to break in; keep certificates in `folder`."""
    with story.chapter("Make a certificate authority and a client certificate"):
        authority, client = certificates(folder)
        story.say(f"{authority.certificate} is the CA whose clients the namespace lets in")
        story.say(f"{client.certificate} is the worker's certificate, its key stays beside it")

    with story.chapter(f"Create namespace {NAME} in {REGION}"):
        spec = new_spec(
            NAME,
            REGION,
            SpecOptions(ca_file=authority.certificate, retention_days=RETENTION_DAYS),
        )
        async with connect(connection) as api:
            namespace = await ensure_namespace(story, api, spec)

    worker = worker_connection(namespace, connection.ca_file, client.certificate, client.key)
    with story.chapter("Complete a workflow through the namespace's endpoint"):
        story.say(f"the worker dials {worker.address}, TLS server name {worker.server_name}")
        story.say(f"the workflow returned: {await complete_workflow(worker, client.read())}")

    with story.chapter("Try to get in as somebody else"):
        stranger = new_client(new_authority("stranger-ca", CLIENT_VALIDITY), "x", CLIENT_VALIDITY)
        story.say(f"with another CA's certificate: refused ({await refusal(worker, stranger)})")
        story.say(f"without a certificate: refused ({await refusal(worker, None)})")
    return worker


def certificates(folder: Path) -> tuple[KeyFiles, KeyFiles]:
    """Return the files of the authority, kept from run to run, and of a new client certificate."""
    authority = KeyFiles.called(f"{NAME}-ca", folder)
    if not authority.exist():
        authority.replace(new_authority(f"{NAME}-ca", CA_VALIDITY))
    client = KeyFiles.called(f"{NAME}-worker", folder)
    client.replace(new_client(authority.read(), f"{NAME}-worker", CLIENT_VALIDITY))
    return authority, client


async def ensure_namespace(story: Story, api: Api, spec: NamespaceSpec) -> Namespace:
    """Return the namespace, created now unless it exists."""
    while True:
        try:
            accepted = await api.create_namespace(spec, str(uuid4()))
        except NamespaceExists:
            namespace = await api.namespace(NAME)
            if namespace.async_operation_id:
                story.say("an earlier run is not done with it: waiting for that")
                await follow(api, namespace.async_operation_id, CREATION_SECONDS)
                continue
            if namespace.spec.mtls_auth.accepted_client_ca != spec.mtls_auth.accepted_client_ca:
                raise CommandFailed(
                    f"{namespace.namespace} exists and lets in the clients of another CA. Delete "
                    f"it and run the demo again: controlplane namespace delete {NAME}"
                ) from None
            story.say(f"{namespace.namespace} exists already: going on with it")
            return namespace
        story.steps(await follow(api, accepted.async_operation.id, CREATION_SECONDS))
        return await api.namespace(accepted.namespace)


def _say_what_next(home: Home, engine_ui: str) -> None:
    program = _program()
    here = "" if home == Home.choose(None) else f" --home {shlex.quote(str(home.path))}"
    results().print(
        f"""
The fleet stays up. The entities at work, in the engine's Temporal UI:
  {engine_ui}
Go on from here:
  eval "$({program} env{here})"
  {program} namespace explain {NAME}
Stop it:
  {program} down{here}""",
        markup=False,
    )


def _program() -> str:
    """Return how this reader calls the command, who may not have it in the search path."""
    if shutil.which("controlplane"):
        return "controlplane"
    called = Path(sys.argv[0])
    if called.name == "controlplane":
        return os.path.relpath(called)
    return f"{os.path.relpath(sys.executable)} -m controlplane"
