"""A way into an EKS cluster: a signed question to STS, which the cluster asks on our behalf.

The form is that of aws-iam-authenticator: whoever holds the token lets EKS ask STS who has signed
it. The cluster's name is among what is signed, so that the token opens no other cluster.
"""

import base64
from datetime import UTC, datetime, timedelta

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from cells.providers.types import Cluster, ClusterAccess
from controlplane.aws.errors import code_of
from controlplane.aws.identity import Identity
from controlplane.errors import rejected, throttled

TOKEN_PREFIX = "k8s-aws-v1."  # noqa: S105 - how every token begins.
CLUSTER_HEADER = "x-k8s-aws-id"
TOKEN_LIFE = timedelta(minutes=14)
"""EKS takes a token for fifteen minutes after it was signed; clocks differ."""
_SIGNED_SECONDS = 60
_NOT_YET = timedelta(seconds=30)


async def access(cell: Identity, name: str, region: str) -> ClusterAccess:
    """Return the cluster as EKS describes it now, and a token for it."""
    cluster = await _described(cell, name, region)
    token, expires_at = await _token(cell, name, region)
    return ClusterAccess(cluster, token, expires_at)


async def _described(cell: Identity, name: str, region: str) -> Cluster:
    try:
        answer = await cell.ask(cell.client("eks", region).describe_cluster, name=name)
    except Exception as error:
        if code_of(error) == "ResourceNotFoundException":
            raise rejected(
                f"there is no EKS cluster {name} in {region} for {cell.name}: build the cell's "
                "infrastructure again"
            ) from error
        raise
    found = answer["cluster"]
    match found["status"]:
        case "ACTIVE" | "UPDATING":
            ca = base64.b64decode(found["certificateAuthority"]["data"]).decode()
            return Cluster(name, found["endpoint"], ca)
        case "CREATING" | "PENDING":
            raise throttled(f"EKS cluster {name} is being made", _NOT_YET)
        case status:
            raise rejected(f"EKS cluster {name} is {status}: look at it in the EKS console")


async def _token(cell: Identity, name: str, region: str) -> tuple[str, datetime]:
    credentials, expiry = await cell.credentials()
    sts = cell.client("sts", region)
    request = AWSRequest(
        method="GET",
        url=f"{sts.meta.endpoint_url.rstrip('/')}/?Action=GetCallerIdentity&Version=2011-06-15",
        headers={CLUSTER_HEADER: name},
    )
    signed_at = datetime.now(UTC)
    SigV4QueryAuth(credentials, "sts", region, expires=_SIGNED_SECONDS).add_auth(request)
    encoded = base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")
    # A role's session that ends takes what it has signed with it.
    ends = [signed_at + TOKEN_LIFE, *([expiry] if expiry else [])]
    return TOKEN_PREFIX + encoded, min(ends)
