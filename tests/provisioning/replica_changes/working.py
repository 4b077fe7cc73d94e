"""Workers for changes of replicas, over ports that a test gives them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner

from cells.replication.memory import MemoryLinks
from controlplane.worker import build_workers
from provisioning.activities import ProvisioningActivities
from provisioning.memory import MemoryWorld
from provisioning.replicas.activities import ReplicaActivities
from provisioning.replicas.memory import MemoryReplication
from tests.engine import ZONE, MemoryCells, all_activities, memory_activities
from tests.provisioning.replica_changes.changing import REGIONS, EntityFleet


def ports_of(
    client: Client, world: MemoryWorld, replication: MemoryReplication
) -> dict[str, object]:
    """Return what provisioning asks of the world, by the names of its activities' fields."""
    known = memory_activities(world)
    fields = (
        "databases certificates registrar ingress dns prober account_keys client_certificates "
        "projection"
    )
    return {
        **{name: getattr(known, name) for name in fields.split()},
        "fleet": EntityFleet(world, client),
        "links": MemoryLinks(world.known_cells),
        "replication": replication,
    }


@asynccontextmanager
async def workers(client: Client, ports: Mapping[str, Any]) -> AsyncIterator[None]:
    """Run the product's own workers over these ports."""
    of_replicas = {"fleet", "links", "replication", "ingress"}
    own = set(ports) - of_replicas | {"fleet", "ingress"}
    activities = all_activities(
        client,
        MemoryCells(),
        ProvisioningActivities(zone=ZONE, **{name: ports[name] for name in own}),
        ReplicaActivities(**{name: ports[name] for name in of_replicas}),
    )
    # Unsandboxed, as in production: whether all of it can be replayed is seen to at the end.
    built = build_workers(client, activities, REGIONS, workflow_runner=UnsandboxedWorkflowRunner())
    async with AsyncExitStack() as running:
        for worker in built:
            await running.enter_async_context(worker)
        yield
