"""Cells in the stand-in: a blueprint, and what Terraform would have made of it."""

import base64

from cells.life.types import Blueprint
from cells.providers.types import Account, Cluster, Foundation
from cells.types import Capacity, Provider
from tests.clouds.gcp.stand_in import StandIn
from tests.clouds.gcp.world import Project

REGION = "us-central1"
CA = "-----BEGIN CERTIFICATE-----\nof the stand-in\n-----END CERTIFICATE-----\n"
BLUEPRINT = Blueprint(
    cell="gcp-us-central1-c1",
    uid="k3x9m2ab",
    provider=Provider.GCP,
    region=f"gcp-{REGION}",
    ring=0,
    server_version="1.31.0",
    capacity=Capacity(namespaces=100, actions_per_second=500),
    failover_version=7,
    network="10.40.0.0/16",
)
NAME = f"cell-{BLUEPRINT.uid}"
PROJECT = f"cell-{BLUEPRINT.uid}"


def built(
    stand_in: StandIn, account: Account, endpoint: str = "https://10.40.0.2", ca: str = CA
) -> Foundation:
    """Put a cell's infrastructure into its project, as Terraform does, and return its outputs."""
    project = stand_in.world.projects[account.id]
    database_secret = f"projects/{account.id}/secrets/{NAME}-database"
    project.clusters[f"{REGION}/{NAME}"] = {
        "name": NAME,
        "location": REGION,
        "status": "RUNNING",
        "endpoint": endpoint.removeprefix("https://"),
        "masterAuth": {"clusterCaCertificate": base64.b64encode(ca.encode()).decode()},
    }
    project.databases[NAME] = {"name": NAME, "region": REGION, "state": "RUNNABLE"}
    project.secrets.setdefault(f"{NAME}-database", [])
    key_ring = f"projects/{account.id}/locations/{REGION}/keyRings/{NAME}"
    project.keys = [
        {"name": f"{key_ring}/cryptoKeys/{NAME}-{what}", "primary": {"state": "ENABLED"}}
        for what in ("database", "disks", "secrets")
    ]
    project.zones[NAME] = {"dnsName": "c1.cells.fleet.test.", "rrsets": []}
    place, zone = f"regions/{REGION}", f"zones/{REGION}-a"
    project.compute = {
        "networks": [("global", {"name": NAME})],
        "forwardingRules": [(place, {"name": f"{NAME}-ingress"})],
        "serviceAttachments": [(place, {"name": NAME})],
        "instances": [(zone, {"name": f"{NAME}-node-1"})],
        "disks": [(zone, {"name": f"{NAME}-node-1"}), (zone, {"name": "pvc-1"})],
        "addresses": [(place, {"name": f"{NAME}-nat"})],
    }
    return Foundation(
        account=account,
        cluster=Cluster(NAME, endpoint, ca),
        database="10.40.1.3:5432",
        database_secret=database_secret,
        region=REGION,
    )


def demolished(project: Project) -> None:
    """Take it away again, as Terraform does: keys stay, and what they encrypt with does not."""
    project.clusters.clear()
    project.databases.clear()
    project.passwords.clear()
    project.secrets.clear()
    project.zones.clear()
    project.compute.clear()
    for key in project.keys:
        key["primary"]["state"] = "DESTROY_SCHEDULED"
