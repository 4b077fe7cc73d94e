"""By which name a cloud knows a resource, and what its provider takes to import it.

Nothing here is for more types than cells are made of. Types that are not named by who makes them,
such as a VPC, get an identity of the cloud's own.
"""

from typing import Any

Values = dict[str, Any]

_AWS = {
    "aws_cloudwatch_log_group": "{name}",
    "aws_db_instance": "{identifier}",
    "aws_db_parameter_group": "{name}",
    "aws_db_subnet_group": "{name}",
    "aws_eks_access_entry": "{cluster_name}:{principal_arn}",
    "aws_eks_access_policy_association": "{cluster_name}#{principal_arn}#{policy_arn}",
    "aws_eks_addon": "{cluster_name}:{addon_name}",
    "aws_eks_cluster": "{name}",
    "aws_eks_node_group": "{cluster_name}:{node_group_name}",
    "aws_iam_instance_profile": "{name}",
    "aws_iam_openid_connect_provider": "arn:aws:iam::{account}:oidc-provider/{url}",
    "aws_iam_policy": "arn:aws:iam::{account}:policy/{name}",
    "aws_iam_role": "{name}",
    "aws_iam_role_policy": "{role}:{name}",
    "aws_iam_role_policy_attachment": "{role}/{policy_arn}",
    "aws_kms_alias": "{name}",
    "aws_lb": "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/net/{name}",
    "aws_lb_target_group": "arn:aws:elasticloadbalancing:{region}:{account}:targetgroup/{name}",
    "aws_opensearch_domain": "{domain_name}",
    "aws_s3_bucket": "{bucket}",
}

_PLACE = "projects/{project}/regions/{region}"
_GOOGLE = {
    "google_compute_address": f"{_PLACE}/addresses/{{name}}",
    "google_compute_firewall": "projects/{project}/global/firewalls/{name}",
    "google_compute_forwarding_rule": f"{_PLACE}/forwardingRules/{{name}}",
    "google_compute_instance_group_named_port": "{group}/{port}/{name}",
    "google_compute_network": "projects/{project}/global/networks/{name}",
    "google_compute_region_backend_service": f"{_PLACE}/backendServices/{{name}}",
    "google_compute_region_health_check": f"{_PLACE}/healthChecks/{{name}}",
    "google_compute_region_target_tcp_proxy": f"{_PLACE}/targetTcpProxies/{{name}}",
    "google_compute_router": f"{_PLACE}/routers/{{name}}",
    "google_compute_router_nat": f"{_PLACE}/routers/{{router}}/{{name}}",
    "google_compute_service_attachment": f"{_PLACE}/serviceAttachments/{{name}}",
    "google_compute_subnetwork": f"{_PLACE}/subnetworks/{{name}}",
    "google_container_cluster": "projects/{project}/locations/{location}/clusters/{name}",
    "google_container_node_pool": "{cluster}/nodePools/{name}",
    "google_dns_managed_zone": "projects/{project}/managedZones/{name}",
    "google_dns_record_set": "projects/{project}/managedZones/{managed_zone}/rrsets/{name}/{type}",
    "google_kms_crypto_key": "{key_ring}/cryptoKeys/{name}",
    "google_kms_key_ring": "projects/{project}/locations/{location}/keyRings/{name}",
    "google_network_connectivity_spoke": "projects/{project}/locations/{location}/spokes/{name}",
    "google_secret_manager_secret": "projects/{project}/secrets/{secret_id}",
    "google_service_account": (
        "projects/{project}/serviceAccounts/{account_id}@{project}.iam.gserviceaccount.com"
    ),
    "google_sql_database_instance": "projects/{project}/instances/{name}",
}


def named_identity(kind: str, values: Values, account: str, region: str) -> str | None:
    """Return what a resource is called by who makes it; None for one that the cloud names."""
    template = {**_AWS, **_GOOGLE}.get(kind)
    if template is None:
        return None
    known = {"account": account, "project": account, "region": region}
    try:
        return template.format_map({**known, **_given(values)})
    except KeyError:
        return None  # It has a name prefix, or none: the cloud completes it.


def _given(values: Values) -> Values:
    return {name: value for name, value in values.items() if isinstance(value, str) and value}
