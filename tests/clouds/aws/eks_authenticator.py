"""Whom EKS takes the holder of a token for: it asks STS what the token says, with the cluster's
name among what is signed, and looks the role up in the cluster's access entries."""

import base64
import binascii
import re
from collections.abc import Mapping

import httpx

from cells.providers.aws.cluster import CLUSTER_HEADER, TOKEN_PREFIX
from tests.clouds.aws.running import RunningAws
from tests.kubernetes.authenticator import Authenticator, User

ADMINISTRATORS = ("system:masters",)
"""The groups of an access entry with AmazonEKSClusterAdminPolicy."""

_ARN = re.compile(r"<Arn>(?P<arn>[^<]+)</Arn>")
_SESSION = re.compile(r"arn:aws:sts::(?P<account>\d+):assumed-role/(?P<role>[^/]+)/(?P<name>.+)")


def eks_authenticator(
    aws: RunningAws, cluster: str, entries: Mapping[str, tuple[str, ...]]
) -> Authenticator:
    """Return what an API server asks whose a token is. `entries` are groups by a role's ARN."""

    async def authenticate(token: str) -> User | None:
        url = _question(token)
        # Nobody is asked but STS: a token could lead anywhere.
        if url is None or not url.startswith(f"{aws.url}/?Action=GetCallerIdentity&"):
            return None
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.get(url, headers={CLUSTER_HEADER: cluster})
        found = _ARN.search(answer.text)
        session = _SESSION.fullmatch(found["arn"]) if answer.is_success and found else None
        if session is None:
            return None
        role = f"arn:aws:iam::{session['account']}:role/{session['role']}"
        return User(session[0], entries[role]) if role in entries else None

    return authenticate


def _question(token: str) -> str | None:
    if not token.startswith(TOKEN_PREFIX):
        return None
    encoded = token.removeprefix(TOKEN_PREFIX)
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
