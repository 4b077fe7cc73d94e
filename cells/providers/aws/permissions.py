"""What the control plane's role in the management account must be allowed: the adapters' calls.

`terraform/modules/control-plane-aws` grants exactly these. In the accounts of cells it is the
role that each was made with, which may do everything there.
"""

from cells.providers.aws.settings import AwsSettings

FINDING = (
    "organizations:CreateAccount",
    "organizations:DescribeAccount",
    "organizations:DescribeCreateAccountStatus",
    "organizations:DescribeOrganizationalUnit",
    "organizations:ListAccounts",
    "organizations:ListAccountsForParent",
    "organizations:ListCreateAccountStatus",
    "organizations:ListParents",
    "organizations:ListTagsForResource",
    "ec2:DescribeRegions",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
    "servicequotas:GetServiceQuotaIncreaseRequestFromTemplate",
)
"""On everything."""
CHANGING = (
    "organizations:CloseAccount",
    "organizations:MoveAccount",
    "organizations:TagResource",
)
"""On accounts, under conditions."""
ITSELF = ("iam:SimulatePrincipalPolicy",)
"""On the role itself."""
BUCKET = ("s3:GetBucketVersioning", "s3:ListBucket")
STATES = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
"""On what lies under `cells/` in the bucket."""
STATE_KEY = ("kms:Decrypt", "kms:GenerateDataKey")
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


def organization() -> tuple[str, ...]:
    """Return everything that the role in the management account must be allowed."""
    return (*FINDING, *CHANGING, *ITSELF, *BUCKET, *STATES, *STATE_KEY, *CELL)


def looked_for(settings: AwsSettings) -> list[tuple[str, tuple[str, ...]]]:
    """Return what can be asked about beforehand, by resource: the rest is granted under conditions
    of which a simulation knows nothing."""
    bucket = f"arn:{settings.partition}:s3:::{settings.state_bucket}"
    asked = [("*", FINDING), (bucket, BUCKET), (f"{bucket}/cells/state", STATES)]
    return [*asked, (settings.state_key, STATE_KEY)] if settings.state_key else asked
