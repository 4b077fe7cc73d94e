"""By what id a resource is imported that is there, and not in the state.

When Terraform is killed while something is being made, that is there, and nobody has written it
down. It is in an account that is the cell's alone, under a name that has the cell's uid in it. What
the cloud names itself (a VPC, an address) is not found by name; the sweep at the end of the cell's
life finds it.
"""

from collections.abc import Mapping
from typing import Any

from cells.infrastructure.plans import Change
from cells.providers.types import Account

# What `terraform import` takes, from the documentation of each resource, for the types that our
# modules use and that have names of our choosing.
_IMPORTED_BY = {
    "aws_cloudwatch_log_group": "{name}",
    "aws_cloudwatch_log_resource_policy": "{policy_name}",
    "aws_db_instance": "{identifier}",
    "aws_db_parameter_group": "{name}",
    "aws_db_subnet_group": "{name}",
    "aws_eks_access_entry": "{cluster_name}:{principal_arn}",
    "aws_eks_access_policy_association": "{cluster_name}#{principal_arn}#{policy_arn}",
    "aws_eks_addon": "{cluster_name}:{addon_name}",
    "aws_eks_cluster": "{name}",
    "aws_eks_node_group": "{cluster_name}:{node_group_name}",
    "aws_iam_policy": "arn:aws:iam::{account}:policy/{name}",
    "aws_iam_role": "{name}",
    "aws_iam_role_policy": "{role}:{name}",
    "aws_iam_role_policy_attachment": "{role}/{policy_arn}",
    "aws_kms_alias": "{name}",
    "aws_opensearch_domain": "{domain_name}",
    "aws_route53_record": "{zone_id}_{name}_{type}",
    "google_compute_address": "projects/{project}/regions/{region}/addresses/{name}",
    "google_compute_firewall": "projects/{project}/global/firewalls/{name}",
    "google_compute_forwarding_rule": "projects/{project}/regions/{region}/forwardingRules/{name}",
    "google_compute_network": "projects/{project}/global/networks/{name}",
    "google_compute_region_backend_service": (
        "projects/{project}/regions/{region}/backendServices/{name}"
    ),
    "google_compute_region_health_check": "projects/{project}/regions/{region}/healthChecks/{name}",
    "google_compute_region_target_tcp_proxy": (
        "projects/{project}/regions/{region}/targetTcpProxies/{name}"
    ),
    "google_compute_router": "projects/{project}/regions/{region}/routers/{name}",
    "google_compute_router_nat": "projects/{project}/regions/{region}/routers/{router}/{name}",
    "google_compute_service_attachment": (
        "projects/{project}/regions/{region}/serviceAttachments/{name}"
    ),
    "google_compute_subnetwork": "projects/{project}/regions/{region}/subnetworks/{name}",
    "google_container_cluster": "projects/{project}/locations/{location}/clusters/{name}",
    "google_container_node_pool": "{cluster}/nodePools/{name}",
    "google_dns_managed_zone": "projects/{project}/managedZones/{name}",
    "google_kms_crypto_key": "{key_ring}/cryptoKeys/{name}",
    "google_kms_key_ring": "projects/{project}/locations/{location}/keyRings/{name}",
    "google_secret_manager_secret": "projects/{project}/secrets/{secret_id}",
    "google_service_account": (
        "projects/{project}/serviceAccounts/{account_id}@{project}.iam.gserviceaccount.com"
    ),
    "google_sql_database_instance": "projects/{project}/instances/{name}",
}


def import_id(change: Change, account: Account, region: str) -> str | None:
    """Return by what id a planned resource is imported; None for one that has no name of ours."""
    template = _IMPORTED_BY.get(change.type)
    if template is None:
        return None
    known: Mapping[str, Any] = {
        name: value for name, value in change.after.items() if isinstance(value, str) and value
    }
    where = {"account": account.id, "project": account.id, "region": region}
    try:
        return template.format_map({**where, **known})
    except KeyError:
        return None  # Its name is not known before it is made.
