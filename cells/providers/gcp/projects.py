"""A cell's project: made, in its folder, billed, and with the APIs that it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from google.cloud.resourcemanager_v3 import Project

from cells.life.types import Blueprint
from cells.providers.gcp.names import UID_LABEL, display_name, labels, project_id
from cells.providers.gcp.resource_manager import ResourceManager
from cells.providers.gcp.settings import GcpSettings
from controlplane.errors import rejected
from controlplane.gcp.calls import Google, Request
from controlplane.gcp.discovered import cloudbilling, serviceusage, serviceusage_beta
from controlplane.gcp.errors import Refused
from controlplane.gcp.refusals import from_rest_operation
from controlplane.gcp.waiting import until

APIS: tuple[str, ...] = (
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "container.googleapis.com",
    "dns.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "networkconnectivity.googleapis.com",
    "secretmanager.googleapis.com",
    "servicenetworking.googleapis.com",
    "serviceusage.googleapis.com",
    "sqladmin.googleapis.com",
)
"""Twenty can be enabled at once, which is what one call may ask for."""
AGENTS: tuple[str, ...] = ("secretmanager.googleapis.com", "sqladmin.googleapis.com")
"""Whose own accounts in a project are only made when they are asked for. Terraform lets them use
the cell's key."""
APPEARANCE_PATIENCE = timedelta(minutes=2)
"""How long a project that exists may be one that nobody sees."""
PATIENCE = timedelta(minutes=10)
"""How long enabling APIs may take."""


@dataclass(frozen=True)
class Projects:
    google: Google
    resource_manager: ResourceManager
    settings: GcpSettings

    async def find(self, blueprint: Blueprint) -> Project | None:
        """Return the cell's project, also one that is being deleted."""
        found = await self.resource_manager.project(self.id(blueprint))
        if found is not None and found.labels.get(UID_LABEL) != blueprint.uid:
            raise rejected(
                f"project {found.project_id} is there, and is not that of cell {blueprint.cell}: "
                f"its label {UID_LABEL} is {found.labels.get(UID_LABEL)!r}, not "
                f"{blueprint.uid!r}: have CONTROLPLANE_GCP_PROJECT_PREFIX begin the ids of "
                "projects otherwise"
            )
        return found

    async def ensure(self, blueprint: Blueprint) -> Project:
        """Return the cell's project, made if it is not there, and taken back if it was to go."""
        project = await self.find(blueprint)
        if project is None:
            project = await self._create(blueprint)
        if project.state == Project.State.DELETE_REQUESTED:
            await self.resource_manager.undelete_project(project.name)
        if project.parent != self.settings.folder:
            raise rejected(
                f"project {project.project_id} of cell {blueprint.cell} is in {project.parent}, "
                f"not in {self.settings.folder}: move it there, or correct "
                "CONTROLPLANE_GCP_FOLDER"
            )
        await self._bill(project.project_id)
        await self._enable(project.project_id)
        return project

    async def delete(self, blueprint: Blueprint) -> None:
        """Have it deleted: Google does so in thirty days, and bills nothing from now on."""
        project = await self.find(blueprint)
        if project is not None and project.state != Project.State.DELETE_REQUESTED:
            await self.resource_manager.delete_project(project.name)

    def id(self, blueprint: Blueprint) -> str:
        return project_id(self.settings.project_prefix, blueprint)

    async def _create(self, blueprint: Blueprint) -> Project:
        wanted = self.id(blueprint)
        await self.resource_manager.create_project(
            wanted, display_name(blueprint), self.settings.folder, labels(blueprint)
        )

        async def look() -> Project | None:
            return await self.find(blueprint)

        try:
            return await until(look, f"the appearance of project {wanted}", APPEARANCE_PATIENCE)
        except TimeoutError as late:
            raise TimeoutError(
                f"{late}: if somebody outside of {self.settings.folder} has a project of that id, "
                "have CONTROLPLANE_GCP_PROJECT_PREFIX begin the ids of projects otherwise"
            ) from late

    async def _bill(self, project: str) -> None:
        name = f"projects/{project}"
        wanted = f"billingAccounts/{self.settings.billing_account}"
        billing = await self.google.ask(lambda: cloudbilling().projects().getBillingInfo(name=name))
        if billing.get("billingAccountName") != wanted or not billing.get("billingEnabled"):
            await self.google.ask(
                lambda: (
                    cloudbilling()
                    .projects()
                    .updateBillingInfo(name=name, body={"billingAccountName": wanted})
                )
            )

    async def _enable(self, project: str) -> None:
        parent = f"projects/{project}"
        names = [f"{parent}/services/{api}" for api in APIS]
        found = await self.google.ask(
            lambda: serviceusage().services().batchGet(parent=parent, names=names)
        )
        enabled = {
            service["name"].rpartition("/")[2]
            for service in found.get("services", [])
            if service.get("state") == "ENABLED"
        }
        missing = [api for api in APIS if api not in enabled]
        if missing:
            started = await self.google.ask(
                lambda: (
                    serviceusage()
                    .services()
                    .batchEnable(parent=parent, body={"serviceIds": missing})
                )
            )
            await self._done(
                "serviceusage.services.batchEnable",
                started,
                lambda: serviceusage().operations().get(name=started["name"]),
            )
        for api in AGENTS:
            await self._have_agent(f"{parent}/services/{api}")

    async def _have_agent(self, service: str) -> None:
        """Have the service make the account that it acts as in the project, if it has none."""
        started = await self.google.ask(
            lambda: serviceusage_beta().services().generateServiceIdentity(parent=service)
        )
        await self._done(
            "serviceusage.services.generateServiceIdentity",
            started,
            lambda: serviceusage_beta().operations().get(name=started["name"]),
        )

    async def _done(
        self,
        call: str,
        started: Mapping[str, object],
        again: Callable[[], Request[Mapping[str, object]]],
    ) -> None:
        """Return when the operation has come to its end; raise why it failed."""

        async def look() -> Mapping[str, object] | None:
            if started.get("done"):
                return started
            operation = await self.google.ask(again)
            return operation if operation.get("done") else None

        ended = await until(look, f"{call} ({started.get('name')})", PATIENCE)
        error = ended.get("error")
        if isinstance(error, dict):
            raise Refused(from_rest_operation(call, error), self.google.identity.name)
