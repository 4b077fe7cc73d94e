"""What the control plane's role in the management account must be allowed: the adapters' calls.

`terraform/modules/control-plane-aws` grants exactly these. In the accounts of cells it is the
role that each was made with, which may do everything there.
"""

ORGANIZATION = (
    "organizations:CloseAccount",
    "organizations:CreateAccount",
    "organizations:DescribeAccount",
    "organizations:DescribeCreateAccountStatus",
    "organizations:DescribeOrganizationalUnit",
    "organizations:ListAccounts",
    "organizations:ListAccountsForParent",
    "organizations:ListCreateAccountStatus",
    "organizations:ListParents",
    "organizations:ListTagsForResource",
    "organizations:MoveAccount",
    "organizations:TagResource",
)
PREFLIGHT = (
    "ec2:DescribeRegions",
    "iam:SimulatePrincipalPolicy",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
    "servicequotas:GetServiceQuotaIncreaseRequestFromTemplate",
)
STATE = (
    "s3:DeleteObject",
    "s3:GetBucketVersioning",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
)
DELEGATION = (
    "route53:ChangeResourceRecordSets",
    "route53:GetChange",
    "route53:GetHostedZone",
    "route53:ListResourceRecordSets",
)
NAMES = (*DELEGATION, "route53:ListHostedZonesByName")
"""Of `provisioning.dns.route53`, on the fleet's zone."""
SECRETS = (
    "secretsmanager:CreateSecret",
    "secretsmanager:DeleteSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:ListSecrets",
    "secretsmanager:PutSecretValue",
    "secretsmanager:RestoreSecret",
    "kms:Decrypt",
    "kms:GenerateDataKey",
)
"""Of `controlplane.secrets.aws`, on the secrets under its prefix."""
CELL = ("sts:AssumeRole",)
"""On the role of that name in the accounts of the organisational unit."""


def wanted() -> tuple[str, ...]:
    """Return what is looked for before a cell is built."""
    return (*ORGANIZATION, *PREFLIGHT, *STATE, *CELL)
