"""What an account may have and do: documented defaults, and exceptions kept per account."""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from controlplane.errors import invalid_argument
from controlplane.store.batching import Batched
from controlplane.store.pool import Pool

LARGEST_LIMIT = 1_000_000
FRESH_SECONDS = 3.0
"""How old the limits that a process goes by may be."""

_REMEMBERED_ACCOUNTS = 10_000
_READ = "SELECT account_id, name, value FROM account_limits WHERE account_id = ANY(%s)"
_SET = """
INSERT INTO account_limits (account_id, name, value) VALUES (%(account)s, %(name)s, %(value)s)
ON CONFLICT (account_id, name) DO UPDATE SET value = excluded.value, changed_at = now()
"""
_RAISE = """
INSERT INTO account_limits (account_id, name, value) VALUES (%(account)s, %(name)s, %(value)s)
ON CONFLICT (account_id, name) DO NOTHING
"""
_RESET = "DELETE FROM account_limits WHERE account_id = %(account)s AND name = %(name)s"


@dataclass(frozen=True)
class AccountLimits:
    """The limits of one account. The defaults are those that Temporal Cloud documents."""

    namespaces: int = 10
    """Temporal Cloud, "System limits"."""
    operations_at_once: int = 10
    """Operations of the account that are not finished ("Cloud Ops API")."""
    requests_per_second: int = 160
    """Calls of the whole account ("Cloud Ops API"), as are the next two."""
    user_requests_per_second: int = 40
    service_account_requests_per_second: int = 80
    service_accounts: int = 300
    """As many as users ("System limits")."""
    api_keys_per_user: int = 10
    """Unexpired ones ("API keys"), as are the next."""
    api_keys_per_service_account: int = 20
    tags_per_namespace: int = 10
    """ "Namespaces"."""
    certificate_filters: int = 25
    """Per namespace ("Certificates")."""
    ca_certificates: int = 16
    """In the CA bundle of a namespace ("System limits")."""
    ca_bundle_bytes: int = 32 * 1024
    """ "System limits"."""
    retention_days: int = 90
    """The longest that may be asked for ("System limits")."""
    text_search_attributes: int = 5
    """Custom ones per namespace ("System limits"), as are the next six."""
    keyword_search_attributes: int = 40
    int_search_attributes: int = 20
    double_search_attributes: int = 20
    bool_search_attributes: int = 20
    datetime_search_attributes: int = 20
    keyword_list_search_attributes: int = 5

    def with_exceptions(self, exceptions: Mapping[str, int]) -> "AccountLimits":
        """Return these limits but for the exceptions; names that are no longer ours count not."""
        return AccountLimits(**{name: exceptions.get(name, at) for name, at in vars(self).items()})


DEFAULTS = AccountLimits()


class AccountLimitsReader:
    """Reads the limits of accounts; what it says is at most seconds old."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # However many calls find them stale, they are read once.
        self._reads = Batched(self._read)
        self._known: OrderedDict[str, tuple[float, AccountLimits]] = OrderedDict()

    async def of(self, account: str) -> AccountLimits:
        known = self._known.get(account)
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        asked_at = time.monotonic()
        limits = await self._reads.get(account) or DEFAULTS
        self._known[account] = (asked_at, limits)
        self._known.move_to_end(account)
        if len(self._known) > _REMEMBERED_ACCOUNTS:
            self._known.popitem(last=False)
        return limits

    async def _read(self, accounts: Sequence[str]) -> Mapping[str, AccountLimits]:
        return await _read_all(self._pool, accounts)

    def forget(self, account: str) -> None:
        """Read the account's limits anew when they are asked for next."""
        self._known.pop(account, None)


async def read_limits(pool: Pool, account: str) -> AccountLimits:
    """Return the account's limits as of now."""
    return (await _read_all(pool, [account]))[account]


async def _read_all(pool: Pool, accounts: Sequence[str]) -> dict[str, AccountLimits]:
    exceptions: dict[str, dict[str, int]] = {account: {} for account in accounts}
    async with pool.connection() as connection:
        for account, name, value in await (
            await connection.execute(_READ, (list(accounts),))
        ).fetchall():
            exceptions[account][name] = value
    return {account: DEFAULTS.with_exceptions(of) for account, of in exceptions.items()}


async def set_limit(pool: Pool, account: str, name: str, value: int | None) -> None:
    """Set one limit of the account; None brings the default back."""
    await set_limits(pool, account, {name: value})


async def set_limits(pool: Pool, account: str, changes: Mapping[str, int | None]) -> None:
    """Set several limits of the account, all or none; None brings a default back.

    Processes go by the change within FRESH_SECONDS.
    """
    for name, value in changes.items():
        check_limit(name, value)
    async with pool.connection() as connection, connection.transaction():
        for name, value in changes.items():
            await connection.execute(
                _RESET if value is None else _SET,
                {"account": account, "name": name, "value": value},
            )


async def raise_limits(
    connection: AsyncConnection[TupleRow], account: str, limits: Mapping[str, int]
) -> None:
    """Set limits of an account that nobody has set, within the caller's transaction."""
    for name, value in limits.items():
        check_limit(name, value)
        await connection.execute(_RAISE, {"account": account, "name": name, "value": value})


def check_limit(name: str, value: int | None) -> None:
    """Raise `invalid_argument` unless there is a limit of that name that may be set to `value`."""
    known = asdict(DEFAULTS)
    if name not in known:
        raise invalid_argument(
            f"there is no account limit {name[:100]!r}: the limits are {', '.join(sorted(known))}"
        )
    if value is not None and not 1 <= value <= LARGEST_LIMIT:
        raise invalid_argument(
            f"{name} cannot be {value}: send 1 to {LARGEST_LIMIT}, or null for the default "
            f"of {known[name]}"
        )
