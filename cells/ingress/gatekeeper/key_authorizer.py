"""What an API key may do in a namespace: a pure decision over the record and the account's keys.

Everything but the token's signature is looked at for each request, so that a key that is revoked,
or loses a permission, is refused from its next request on.
"""

from dataclasses import dataclass
from datetime import datetime

from cells.ingress.descriptors import OPEN_PATHS, SERVICE, namespaced_methods
from cells.ingress.gatekeeper.key_table import AccountKeys
from cells.ingress.gatekeeper.tokens import Claims
from cells.ingress.keys import KeyRow
from cells.ingress.records import IngressRecord
from controlplane.ids import account_of

_READING = ("Get", "List", "Describe", "Query", "Count", "Scan")

READ_PATHS = frozenset(OPEN_PATHS) | {
    f"/{SERVICE}/{method}"
    for _, _, method in (name.rpartition(".") for name in namespaced_methods())
    if method.startswith(_READING)
}
"""What a key with the permission `read` may call: it changes nothing, and takes no task away from
a worker."""


@dataclass(frozen=True)
class KeyAllowed:
    key_id: str


@dataclass(frozen=True)
class Unauthenticated:
    """It is not a key, or no longer, or not here."""

    reason: str


@dataclass(frozen=True)
class Forbidden:
    """It is a good key that may not do this."""

    reason: str


def authorize_request(
    record: IngressRecord | None,
    claims: Claims,
    account: AccountKeys | None,
    path: str,
    now: datetime,
) -> KeyAllowed | Unauthenticated | Forbidden:
    """Decide on one request to the record's namespace. `account` are the keys of the account that
    the claims name; `path` is the request's, `/package.Service/Method`."""
    if record is None or not record.admitted:
        return Unauthenticated("the namespace is not admitted")
    if not record.rules.api_keys:
        return Unauthenticated(f"namespace {record.namespace} does not take API keys")
    if now >= claims.expires_at:
        return Unauthenticated(f"the API key expired at {claims.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    key = None if account is None else account.keys.get(claims.key_id)
    if key is None or account is None or account.account != claims.account:
        return Unauthenticated("the API key is revoked, disabled or unknown")
    if now >= key.expires_at:
        return Unauthenticated(f"the API key expired at {key.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    return _authorize_key(record.namespace, claims, key, path)


def _authorize_key(
    namespace: str, claims: Claims, key: KeyRow, path: str
) -> KeyAllowed | Forbidden:
    if claims.account != account_of(namespace):
        return Forbidden(f"the API key has no access to namespace {namespace}")
    if claims.namespaces is not None and namespace not in claims.namespaces:
        return Forbidden(f"the API key was not made for namespace {namespace}")
    permission = "admin" if key.everywhere else key.namespaces.get(namespace)
    match permission:
        case "admin" | "write":
            return KeyAllowed(key.key_id)
        case "read" if path in READ_PATHS:
            return KeyAllowed(key.key_id)
        case "read":
            method = path.rpartition("/")[2]
            return Forbidden(
                f"the API key may read namespace {namespace}, and {method} takes permission write"
            )
        case _:
            return Forbidden(f"the API key has no access to namespace {namespace}")
