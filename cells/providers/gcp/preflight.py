"""What stands against a cell in GCP, found out without changing anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.cloud.resourcemanager_v3 import Folder, Project

from cells.life.types import Blueprint
from cells.providers.gcp.projects import Projects
from cells.providers.gcp.quotas import Quota, shortfalls
from cells.providers.gcp.resource_manager import ResourceManager
from cells.providers.gcp.settings import GcpSettings
from controlplane.gcp.calls import Google
from controlplane.gcp.discovered import cloudbilling, compute, storage
from controlplane.gcp.errors import PERMISSIONS, Refused, Status

if TYPE_CHECKING:
    from googleapiclient._apis.compute.v1.schemas import Quota as Listed

FOLDER_PERMISSIONS: tuple[str, ...] = (
    "compute.projects.get",
    "compute.regions.get",
    "iam.serviceAccounts.create",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.getIamPolicy",
    "iam.serviceAccounts.setIamPolicy",
    "resourcemanager.projects.create",
    "resourcemanager.projects.createBillingAssignment",
    "resourcemanager.projects.delete",
    "resourcemanager.projects.get",
    "resourcemanager.projects.getIamPolicy",
    "resourcemanager.projects.setIamPolicy",
    "resourcemanager.projects.undelete",
    "serviceusage.services.enable",
    "serviceusage.services.get",
)
BILLING_PERMISSIONS: tuple[str, ...] = (
    "billing.accounts.get",
    "billing.resourceAssociations.create",
)
STATE_PERMISSIONS: tuple[str, ...] = (
    "storage.buckets.getIamPolicy",
    "storage.buckets.setIamPolicy",
)

_NOT_THERE_FOR_US = (Status.NOT_FOUND, Status.PERMISSION_DENIED)


@dataclass(frozen=True)
class Preflight:
    google: Google
    resource_manager: ResourceManager
    projects: Projects
    settings: GcpSettings

    async def obstacles(self, blueprint: Blueprint) -> Sequence[str]:
        """Return everything that was found, not just the first.

        Quotas are a project's own: those of a cell whose project is still to be made are looked at
        when it is.
        """
        found = [
            *await self._folder(),
            *await self._billing(),
            *await self._state(),
            *await self._region(blueprint),
        ]
        project = await self.projects.find(blueprint)
        if project is not None and project.state == Project.State.ACTIVE:
            found += await self.quotas(blueprint, project.project_id)
        return found

    async def quotas(self, blueprint: Blueprint, project: str) -> list[str]:
        """Return which quotas of the cell's project it would exceed."""
        region = blueprint.cloud_region
        try:
            of_project = await self.google.ask(lambda: compute().projects().get(project=project))
            of_region = await self.google.ask(
                lambda: compute().regions().get(project=project, region=region)
            )
        except Refused as refused:
            if refused.is_switched_off:
                return []
            raise
        return [
            *shortfalls(blueprint, f"project {project}", _listed(of_project.get("quotas", []))),
            *shortfalls(
                blueprint, f"{region} in project {project}", _listed(of_region.get("quotas", []))
            ),
        ]

    async def _folder(self) -> list[str]:
        name = self.settings.folder
        try:
            folder = await self.resource_manager.folder(name)
        except Refused as refused:
            if refused.status not in _NOT_THERE_FOR_US:
                raise
            return [
                f"{name} is not there, or {self.settings.principal} lacks "
                f"resourcemanager.folders.get on it: correct CONTROLPLANE_GCP_FOLDER, or grant it "
                f"({PERMISSIONS})"
            ]
        if folder.state != Folder.State.ACTIVE:
            return [f"{name} ({folder.display_name}) is being deleted: restore it"]
        held = await self.resource_manager.folder_permissions(name, FOLDER_PERMISSIONS)
        return self._missing(name, FOLDER_PERMISSIONS, held)

    async def _billing(self) -> list[str]:
        name = f"billingAccounts/{self.settings.billing_account}"
        accounts = cloudbilling().billingAccounts
        try:
            account = await self.google.ask(lambda: accounts().get(name=name))
            if not account.get("open"):
                return [f"{name} is closed: reopen it, or set CONTROLPLANE_GCP_BILLING_ACCOUNT"]
            held = await self.google.ask(
                lambda: accounts().testIamPermissions(
                    resource=name, body={"permissions": list(BILLING_PERMISSIONS)}
                )
            )
        except Refused as refused:
            if refused.status not in _NOT_THERE_FOR_US:
                raise
            return [
                f"{name} is not there, or {self.settings.principal} lacks billing.accounts.get on "
                "it: correct CONTROLPLANE_GCP_BILLING_ACCOUNT, or grant it roles/billing.user there"
            ]
        return self._missing(name, BILLING_PERMISSIONS, held.get("permissions", []))

    async def _state(self) -> list[str]:
        bucket = self.settings.state_bucket
        try:
            held = await self.google.ask(
                lambda: (
                    storage()
                    .buckets()
                    .testIamPermissions(bucket=bucket, permissions=list(STATE_PERMISSIONS))
                )
            )
        except Refused as refused:
            if refused.status is not Status.NOT_FOUND:
                raise
            return [f"there is no bucket {bucket}: make it, or set CONTROLPLANE_GCP_STATE_BUCKET"]
        return self._missing(f"bucket {bucket}", STATE_PERMISSIONS, held.get("permissions", []))

    async def _region(self, blueprint: Blueprint) -> list[str]:
        """Look at it from the control plane's own project, since the cell's may not be there."""
        name, project = blueprint.cloud_region, self.settings.project
        try:
            region = await self.google.ask(
                lambda: compute().regions().get(project=project, region=name)
            )
        except Refused as refused:
            if refused.status is not Status.NOT_FOUND:
                raise
            return [f"GCP has no region {name}: see `gcloud compute regions list`"]
        return [] if region.get("status") == "UP" else [f"region {name} is {region.get('status')}"]

    def _missing(self, where: str, wanted: Sequence[str], held: Sequence[str]) -> list[str]:
        return [
            f"{self.settings.principal} lacks {permission} on {where}: grant it ({PERMISSIONS})"
            for permission in wanted
            if permission not in held
        ]


def _listed(quotas: Sequence["Listed"]) -> list[Quota]:
    return [Quota(quota.get("metric", ""), quota.get("limit", 0)) for quota in quotas]
