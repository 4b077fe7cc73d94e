"""GCP, as the control plane sees it; adapter of `cells.providers.ports.Cloud`.

The organisation's calls (projects, billing, APIs, rights) are made as the control plane itself.
Whatever happens in a cell's project, Terraform included, is done as a service account of that
project, which the control plane becomes for an hour at a time.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta

from google.cloud.resourcemanager_v3 import Project

from cells.life.types import Blueprint
from cells.providers.gcp.database import Database
from cells.providers.gcp.keeper import Keepers
from cells.providers.gcp.names import keeper_email, labels, state_prefix
from cells.providers.gcp.preflight import Preflight
from cells.providers.gcp.projects import Projects
from cells.providers.gcp.resource_manager import ResourceManager
from cells.providers.gcp.settings import GcpSettings
from cells.providers.gcp.sweep import Sweep
from cells.providers.ports import Variable
from cells.providers.types import Account, Cluster, ClusterAccess, DatabaseLogin, Foundation
from controlplane.errors import rejected, throttled
from controlplane.gcp.calls import Google
from controlplane.gcp.discovered import container
from controlplane.gcp.errors import Refused, Status
from controlplane.gcp.identity import LIFETIME, Identity, ourselves

_TERRAFORMS_TIME = LIFETIME - timedelta(minutes=5)
"""How long a token that Terraform gets is good: it takes no other while it runs."""
_CLUSTERS_TIME = timedelta(seconds=20)
"""After how long it is looked again whether a cluster serves."""
_SERVING = ("RUNNING", "RECONCILING")


class GcpCloud:
    """One organisation's GCP. It keeps a connection, and tokens in memory; nothing else."""

    def __init__(self, settings: GcpSettings) -> None:
        self._settings = settings
        google = Google(ourselves(settings.principal), settings.rest_endpoint)
        self._resource_manager = ResourceManager(google, settings.grpc_endpoint)
        self._projects = Projects(google, self._resource_manager, settings)
        self._keepers = Keepers(google, self._resource_manager, settings)
        self._preflight = Preflight(google, self._resource_manager, self._projects, settings)
        self._become: dict[str, Identity] = {}

    async def obstacles(self, blueprint: Blueprint) -> Sequence[str]:
        return await self._preflight.obstacles(blueprint)

    async def ensure_account(self, blueprint: Blueprint) -> Account:
        """Return the cell's project, with a service account that may do all in it; raise
        `rejected` naming the quotas that are too small for the cell."""
        project = await self._projects.ensure(blueprint)
        acts_as = await self._keepers.ensure(blueprint, project.project_id)
        if short := await self._preflight.quotas(blueprint, project.project_id):
            raise rejected("; ".join(short))
        return Account(project.project_id, acts_as)

    async def find_account(self, blueprint: Blueprint) -> Account | None:
        """Return the cell's project, unless it is being deleted."""
        project = await self._projects.find(blueprint)
        if project is None or project.state != Project.State.ACTIVE:
            return None
        return Account(project.project_id, keeper_email(project.project_id))

    async def close_account(self, blueprint: Blueprint, account: Account) -> None:
        """Have the project deleted, which can be taken back for thirty days."""
        await self._keepers.dismiss(account.id)
        await self._projects.delete(blueprint)

    async def leftovers(self, blueprint: Blueprint, account: Account) -> Sequence[str]:
        if await self.find_account(blueprint) is None:
            return ()
        google = self._inside(account)
        return await Sweep(google, account.id, blueprint.cloud_region).leftovers()

    def variables(self, blueprint: Blueprint, account: Account) -> Mapping[str, Variable]:
        """Return the inputs of `terraform/modules/cell-gcp`."""
        settings = self._settings
        variables: dict[str, Variable] = {
            "cell": blueprint.cell,
            "uid": blueprint.uid,
            "account": account.id,
            "acts_as": account.acts_as,
            "region": blueprint.cloud_region,
            "network": blueprint.network,
            "actions_per_second": blueprint.capacity.actions_per_second,
            "labels": labels(blueprint),
            "control_plane_networks": list(settings.control_plane_networks),
            "control_plane_project": settings.project,
            "endpoint_consumers": list(settings.endpoint_consumers),
            "hub": settings.hub,
            "dns_endpoint": settings.dns_endpoint,
        }
        if settings.cells_zone and settings.dns_parent_zone:
            variables["dns_zone"] = f"{blueprint.cell}.{settings.cells_zone}"
            variables["dns_parent_zone"] = settings.dns_parent_zone
            variables["dns_parent_project"] = settings.project
        if settings.kubernetes_version:
            variables["kubernetes_version"] = settings.kubernetes_version
        return variables

    async def environment(self, account: Account) -> Mapping[str, str]:
        """Return a token of the service account, good for an hour: no apply may take longer."""
        token = await self._acting_as(account).token(good_for=_TERRAFORMS_TIME)
        return {"GOOGLE_OAUTH_ACCESS_TOKEN": token.value, "GOOGLE_PROJECT": account.id}

    def backend(self, blueprint: Blueprint) -> Mapping[str, str]:
        backend = {
            "type": "gcs",
            "bucket": self._settings.state_bucket,
            "prefix": state_prefix(blueprint),
        }
        if self._settings.rest_endpoint:
            backend["storage_custom_endpoint"] = f"{self._settings.rest_endpoint}/storage/v1/"
        return backend

    async def cluster_access(self, foundation: Foundation) -> ClusterAccess:
        """Return the cluster's present authority and a token of the project's service account.

        The endpoint is the foundation's: of the several that a cluster has, Terraform chose one.
        """
        account, known = foundation.account, foundation.cluster
        name = f"projects/{account.id}/locations/{foundation.region}/clusters/{known.name}"
        google = self._inside(account)
        try:
            found = await google.ask(
                lambda: container().projects().locations().clusters().get(name=name)
            )
        except Refused as refused:
            if refused.status is Status.NOT_FOUND:
                raise rejected(
                    f"there is no cluster {name}: build the cell's infrastructure again"
                ) from refused
            raise
        if found.get("status") not in _SERVING:
            said = f"cluster {name} is {found.get('status')}: {found.get('statusMessage', '')}"
            raise throttled(said, _CLUSTERS_TIME)
        # Where Google's own name of the cluster is used, a public authority signs.
        authority = found.get("masterAuth", {}).get("clusterCaCertificate", "")
        ca = base64.b64decode(authority).decode() if known.ca else ""
        token = await google.identity.token()
        return ClusterAccess(Cluster(known.name, known.endpoint, ca), token.value, token.expires_at)

    async def database_login(self, foundation: Foundation) -> DatabaseLogin:
        return await Database(self._inside(foundation.account), foundation).login()

    async def close(self) -> None:
        """Close the connection."""
        await self._resource_manager.close()

    def _inside(self, account: Account) -> Google:
        return Google(self._acting_as(account), self._settings.rest_endpoint)

    def _acting_as(self, account: Account) -> Identity:
        return self._become.setdefault(account.acts_as, self._keepers.become(account.acts_as))
