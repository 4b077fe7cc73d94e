"""How what is there already, and not in the state, gets into it.

When Terraform is killed while something is being made, that is there, and nobody has written it
down. The next apply then fails with "already exists". Such a thing is imported: it is in an account
that is the cell's alone, under a name that has the cell's uid in it. What the cloud names itself
(a VPC, an address) is not found in this way; the sweep at the end of the cell's life finds it.
"""

from collections.abc import Mapping
from typing import Any

from cells.infrastructure.plans import Change
from cells.providers.types import Account

# What `terraform import` takes, from the documentation of each resource, for the types that our
# modules use and that have names of our choosing.
_IMPORTED_BY = {
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
    "aws_iam_policy": "arn:aws:iam::{account}:policy/{name}",
    "aws_iam_role": "{name}",
    "aws_iam_role_policy": "{role}:{name}",
    "aws_iam_role_policy_attachment": "{role}/{policy_arn}",
    "aws_kms_alias": "{name}",
    "aws_opensearch_domain": "{domain_name}",
    "aws_s3_bucket": "{bucket}",
}


def import_id(change: Change, account: Account) -> str | None:
    """Return by what id a planned resource is imported; None for one that has no name of ours."""
    template = _IMPORTED_BY.get(change.type)
    if template is None:
        return None
    known: Mapping[str, Any] = {
        name: value for name, value in change.after.items() if isinstance(value, str) and value
    }
    try:
        return template.format_map({"account": account.id, **known})
    except KeyError:
        return None  # Its name is not known before it is made.
