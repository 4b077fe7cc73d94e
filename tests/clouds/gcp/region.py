"""What GCP does for one cell besides what the stand-in of its API does: a cluster, a database."""

import asyncio
import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from cells.life.types import Blueprint
from cells.providers.gcp.cloud import GcpCloud
from cells.providers.types import Account, Cluster
from tests.clouds.gcp.gke_authenticator import gke_authenticator
from tests.clouds.gcp.stand_in import StandIn
from tests.kubernetes.authenticator import User
from tests.terraform.stand_in import StandInCloud

POSTGRESQL_PORT = 5432
"""Which Private Service Connect does not translate."""


@dataclass(frozen=True)
class DatabaseServer:
    """A real PostgreSQL server, and its first role."""

    port: int
    role: str
    password: str = field(repr=False)


@dataclass
class GcpRegion:
    """One region, in which GKE has one real cluster, and Cloud SQL one real server."""

    gcp: StandIn
    made: StandInCloud
    server: DatabaseServer
    address: str
    """At which the server is reached, at its usual port."""
    cluster: Cluster | None = None

    async def authenticate(self, token: str) -> User | None:
        """Say whose a token is, as GKE does."""
        for project in self.gcp.world.projects:
            user = await gke_authenticator(self.gcp.world, project)(token)
            if user is not None and len(user.groups) > 1:
                return user
        return None

    def furnish(self, blueprint: Blueprint, account: Account) -> None:
        """Let what Terraform makes in this project be the real cluster and the real server."""
        name = f"cell-{blueprint.uid}"
        project = self.gcp.world.projects[account.id]
        if not project.databases:
            login = {"username": self.server.role, "password": self.server.password}
            data = base64.b64encode(json.dumps(login).encode()).decode()
            secret = f"{name}-database"
            version = f"projects/{account.id}/secrets/{secret}/versions/1"
            project.secrets[secret] = [{"name": version, "state": "ENABLED", "data": data}]
            project.databases[name] = {"name": name, "region": blueprint.cloud_region}
        changes: dict[str, dict[str, Any]] = {"google_compute_address": {"address": self.address}}
        if self.cluster is not None:
            ca = base64.b64encode(self.cluster.ca.encode()).decode()
            authority = {
                "cluster_ca_certificate": ca,
                "client_certificate_config": [{"issue_client_certificate": False}],
            }
            project.clusters[f"{blueprint.cloud_region}/{name}"] = {
                "name": name,
                "location": blueprint.cloud_region,
                "status": "RUNNING",
                "masterAuth": {"clusterCaCertificate": ca},
            }
            endpoint = self.cluster.endpoint.removeprefix("https://")
            changes["google_container_cluster"] = {
                "master_auth": [authority],
                "private_cluster_config": [
                    {
                        "enable_private_nodes": True,
                        "enable_private_endpoint": True,
                        "master_global_access_config": [{"enabled": True}],
                        "private_endpoint": endpoint,
                    }
                ],
            }
        self._override(changes)

    def settle(self, account: Account) -> None:
        """Have nothing in the project that Terraform has taken away."""
        if not self.made.census().get("google_container_cluster"):
            project = self.gcp.world.projects[account.id]
            for kind in (project.clusters, project.databases, project.passwords, project.secrets):
                kind.clear()

    def _override(self, changes: dict[str, dict[str, Any]]) -> None:
        """Change what is computed of these types, and of no others."""
        present = json.loads((self.made.folder / "overrides.json").read_text())
        self.made.override({**present, **changes})


class FurnishedGcp(GcpCloud):
    """GCP as the control plane sees it, in a region that furnishes each project it opens."""

    def __init__(self, region: GcpRegion) -> None:
        super().__init__(region.gcp.settings)
        self._region = region

    async def ensure_account(self, blueprint: Blueprint) -> Account:
        account = await super().ensure_account(blueprint)
        self._region.furnish(blueprint, account)
        return account

    async def leftovers(self, blueprint: Blueprint, account: Account) -> Sequence[str]:
        self._region.settle(account)
        return await super().leftovers(blueprint, account)


@contextlib.asynccontextmanager
async def gcp_region(
    gcp: StandIn, made: StandInCloud, server: DatabaseServer
) -> AsyncIterator[GcpRegion]:
    """Yield a region whose database is reached as in GCP: at an address of its own, port 5432."""
    # One of millions of this machine's own: others do the same at the same time.
    address = str(ip_address("127.64.0.1") + secrets.randbelow(2**22))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            await asyncio.gather(_copied(reader, up_writer), _copied(up_reader, writer))
        finally:
            up_writer.close()
            writer.close()

    forwarder = await asyncio.start_server(pass_on, address, POSTGRESQL_PORT)
    try:
        yield GcpRegion(gcp, made, server, address)
    finally:
        forwarder.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
