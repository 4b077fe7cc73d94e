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

_PLACES = ("zone", "region", "location")


def named_identity(kind: str, values: Values, account: str, region: str) -> str | None:
    """Return what a resource is called by who makes it; None for one that the cloud names."""
    if kind.startswith("google_"):
        return _google(kind, values, account)
    template = _AWS.get(kind)
    if template is None:
        return None
    try:
        return template.format_map({"account": account, "region": region, **_given(values)})
    except KeyError:
        return None  # It has a name prefix, or none: the cloud completes it.


def _google(kind: str, values: Values, project: str) -> str | None:
    given = _given(values)
    name = given.get("name") or given.get("account_id") or given.get("secret_id")
    if name is None:
        return None
    if str(name).startswith("projects/"):
        return str(name)
    parent = given.get("key_ring") or given.get("cluster") or given.get("managed_zone")
    place = next((f"{key}s/{given[key]}" for key in _PLACES if key in given), "global")
    within = f"{parent}/" if parent else ""
    collection = kind.removeprefix("google_")
    return f"projects/{given.get('project', project)}/{place}/{within}{collection}/{name}"


def _given(values: Values) -> Values:
    return {name: value for name, value in values.items() if isinstance(value, str) and value}
