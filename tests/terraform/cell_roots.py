"""Cells as the control plane has Terraform make them: what modules are given, and a root each."""

import json

from cells.life.types import Blueprint
from cells.providers.aws.settings import AwsSettings
from cells.providers.aws.terraform import variables as aws_variables
from cells.providers.gcp.cloud import GcpCloud
from cells.providers.gcp.settings import GcpSettings
from cells.providers.types import Account
from cells.types import Capacity, Provider

PROVIDERS_ONLY = {"dns_role", "external_id", "tags"}
"""What `Cloud.variables` may give for the root's provider blocks, and modules need not declare."""


def blueprint(provider: Provider, region: str) -> Blueprint:
    return Blueprint(
        cell="cell-a",
        uid="k7m2p9qx",
        provider=provider,
        region=region,
        ring=1,
        server_version="1.32.0",
        capacity=Capacity(namespaces=100, actions_per_second=1000),
        failover_version=7,
        network="10.7.0.0/16",
    )


ARN = "arn:aws:iam::111122223333:role"
GIVEN = {
    Provider.AWS: aws_variables(
        AwsSettings(
            organization_role=f"{ARN}/controlplane-organization",
            organizational_unit="ou-ab12-cells123",
            email_pattern="cells+{uid}@example.com",
            state_bucket="states",
            state_region="us-east-1",
            zone_id="Z1",
            zone="temporal.example.com",
            control_plane_networks=("10.0.0.0/16",),
            transit_gateway="tgw-1",
            endpoint_consumers=("arn:aws:iam::444455556666:root",),
        ),
        blueprint(Provider.AWS, "aws-us-east-1"),
        Account("222233334444", acts_as="arn:aws:iam::222233334444:role/controlplane-cell"),
    ),
    Provider.GCP: GcpCloud(
        GcpSettings(
            folder="folders/1",
            billing_account="012345-6789AB-CDEF01",
            project="control-plane-1",
            principal="serviceAccount:controlplane@control-plane-1.iam.gserviceaccount.com",
            state_bucket="states",
            control_plane_networks=("10.0.0.0/16",),
            endpoint_consumers=("tenant-1",),
            hub="projects/control-plane-1/locations/global/hubs/controlplane",
            kubernetes_version="1.35",
        )
    ).variables(
        blueprint(Provider.GCP, "gcp-us-east4"),
        Account("cell-k7m2p9qx", acts_as="controlplane@cell-k7m2p9qx.iam.gserviceaccount.com"),
    ),
}


def module_call(provider: Provider, **more: object) -> str:
    """Return what a root says of a cell: JSON is a value of Terraform's language, too."""
    given = {
        name: value for name, value in GIVEN[provider].items() if name not in PROVIDERS_ONLY
    } | more
    lines = [f"  {name} = {json.dumps(value)}" for name, value in given.items()]
    return "\n".join([*lines, "  deletion_protection = var.protected"])


ROOTS = {
    Provider.AWS: f"""
variable "protected" {{
  default = true
}}
provider "aws" {{
  region = "us-east-1"
}}
provider "aws" {{
  alias  = "dns"
  region = "us-east-1"
}}
module "cell" {{
  source    = "../modules/cell-aws"
  providers = {{ aws = aws, aws.dns = aws.dns }}
{module_call(Provider.AWS)}
}}
""",
    Provider.GCP: f"""
variable "protected" {{
  default = true
}}
provider "google" {{
  project = "cell-k7m2p9qx"
  region  = "us-east4"
}}
module "cell" {{
  source = "../modules/cell-gcp"
{
        module_call(
            Provider.GCP,
            dns_zone="cell-a.cells.temporal.example.com",
            dns_parent_zone="fleet",
            dns_parent_project="control-plane-1",
        )
    }
}}
""",
}
