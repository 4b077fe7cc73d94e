"""The fleet's first account, and its owner's API key."""

from datetime import UTC, datetime, timedelta

from controlplane.identity.accounts import ensure_first_account, issue_owner_key
from controlplane.identity.tokens import load_signer
from controlplane.identity.types import Unauthenticated
from controlplane.local.fleet_secrets import OWNER_API_KEY
from controlplane.secrets.port import SecretStore

ACCOUNT_NAME = "Embedded fleet"
OWNER = "owner@fleet.test"

_RENEW_BEFORE = timedelta(days=30)


async def ensure_account(conninfo: str, secrets: SecretStore) -> str:
    """Return the account's id; a good API key of its owner is in the secret store then."""
    account = await ensure_first_account(conninfo, secrets, name=ACCOUNT_NAME, owner_email=OWNER)
    token = account.token
    if token is None and not await _has_good_key(secrets):
        token = await issue_owner_key(conninfo, secrets, account.account_id)
    if token is not None:
        await secrets.put(OWNER_API_KEY, token.encode())
    return account.account_id


async def _has_good_key(secrets: SecretStore) -> bool:
    token = await secrets.get(OWNER_API_KEY)
    if token is None:
        return False
    try:
        claims = (await load_signer(secrets)).read(token.decode())
    except Unauthenticated:
        return False
    return claims.expires_at - datetime.now(UTC) > _RENEW_BEFORE
