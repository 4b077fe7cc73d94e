"""The demo's clients of the endpoint: the namespace's owner, and strangers."""

from uuid import uuid4

from temporalio.client import Client
from temporalio.worker import Worker

from controlplane.cli.connect_errors import innermost_cause
from controlplane.cli.demo_workflow import Order, OrderWorkflow, charge
from controlplane.cli.failures import CommandFailed
from controlplane.cli.worker_connection import WorkerConnection
from provisioning.certificates.x509 import CertificateAndKey

TASK_QUEUE = "orders"


async def complete_workflow(worker: WorkerConnection, certificate: CertificateAndKey) -> str:
    """Run a worker at the endpoint until it has completed one workflow; return its result."""
    client = await _dial(worker, certificate)
    async with Worker(
        client, task_queue=TASK_QUEUE, workflows=[OrderWorkflow], activities=[charge]
    ):
        order = Order(id=str(uuid4())[:8], cents=4200)
        return await client.execute_workflow(
            OrderWorkflow.run, order, id=f"order-{order.id}", task_queue=TASK_QUEUE
        )


async def refusal(worker: WorkerConnection, certificate: CertificateAndKey | None) -> str:
    """Return how the endpoint refuses this client; raise CommandFailed if it lets it in."""
    try:
        await _dial(worker, certificate)
    except RuntimeError as error:  # How this client reports that it could not connect.
        return innermost_cause(error)
    raise CommandFailed(f"{worker.endpoint} let a client in that it should have refused")


async def _dial(worker: WorkerConnection, certificate: CertificateAndKey | None) -> Client:
    return await Client.connect(
        worker.address, namespace=worker.namespace, tls=worker.tls(certificate)
    )
