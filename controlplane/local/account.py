"""The fleet's first account, and its owner's API key."""

from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection

from controlplane.identity.accounts import ensure_first_account, issue_owner_key
from controlplane.identity.limits import raise_limits
from controlplane.identity.signing_keys import load_signer
from controlplane.identity.types import Unauthenticated
from controlplane.local.fleet_secrets import OWNER_API_KEY
from controlplane.secrets.port import SecretStore

ACCOUNT_NAME = "Embedded fleet"
OWNER = "owner@fleet.test"
LIMITS = {
    "namespaces": 1000,
    "operations_at_once": 1000,
    "requests_per_second": 2000,
    "user_requests_per_second": 2000,
    "service_account_requests_per_second": 2000,
}
"""The machine is the account's alone: the documented limits would only be in its way."""

_RENEW_BEFORE = timedelta(days=30)


async def ensure_account(conninfo: str, secrets: SecretStore) -> str:
    """Return the account's id; a good API key of its owner is in the secret store then."""
    account = await ensure_first_account(conninfo, secrets, name=ACCOUNT_NAME, owner_email=OWNER)
    async with await AsyncConnection.connect(conninfo) as connection:
        await raise_limits(connection, account.account_id, LIMITS)
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
