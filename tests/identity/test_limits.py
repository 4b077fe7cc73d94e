from dataclasses import asdict, replace

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.identity import limits
from controlplane.identity.keys import ApiKeys
from controlplane.identity.limits import (
    DEFAULTS,
    LARGEST_LIMIT,
    AccountLimitsReader,
    raise_limits,
    read_limits,
    set_limit,
    set_limits,
)
from tests.eventually import eventually
from tests.identity.people import Owner, new_owner


async def test_an_account_has_the_documented_limits_until_others_are_set(
    keys: ApiKeys, owner: Owner
) -> None:
    stranger = await new_owner(keys)
    assert await read_limits(keys.pool, owner.account) == DEFAULTS
    assert (DEFAULTS.namespaces, DEFAULTS.requests_per_second) == (10, 160)

    await set_limit(keys.pool, owner.account, "namespaces", 50)
    await set_limits(keys.pool, owner.account, {"namespaces": 60, "tags_per_namespace": 1})

    assert await read_limits(keys.pool, owner.account) == replace(
        DEFAULTS, namespaces=60, tags_per_namespace=1
    )
    assert await read_limits(keys.pool, stranger.account) == DEFAULTS


async def test_a_limit_can_go_back_to_its_default(keys: ApiKeys, owner: Owner) -> None:
    await set_limit(keys.pool, owner.account, "namespaces", 50)

    await set_limit(keys.pool, owner.account, "namespaces", None)
    await set_limit(keys.pool, owner.account, "namespaces", None)

    assert await read_limits(keys.pool, owner.account) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("names", 1, "no account limit 'names': the limits are api_keys_per_service_account"),
        ("__class__", 1, "no account limit"),
        ("namespaces", 0, "namespaces cannot be 0: send 1 to 1000000"),
        ("namespaces", -1, "cannot be -1"),
        ("namespaces", LARGEST_LIMIT + 1, "the default of 10"),
        ("namespaces", 2**70, "cannot be"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused_and_nothing_is_set(
    keys: ApiKeys, owner: Owner, name: str, value: int, told: str
) -> None:
    with pytest.raises(ApplicationError, match=told) as refusal:
        await set_limits(keys.pool, owner.account, {"tags_per_namespace": 3, name: value})

    assert refusal.value.type == ErrorType.INVALID_ARGUMENT
    assert await read_limits(keys.pool, owner.account) == DEFAULTS


async def test_limits_that_somebody_set_are_not_raised(keys: ApiKeys, owner: Owner) -> None:
    await set_limit(keys.pool, owner.account, "namespaces", 5)

    async with keys.pool.connection() as connection:
        for _ in range(2):
            await raise_limits(connection, owner.account, {"namespaces": 9, "service_accounts": 9})

    told = await read_limits(keys.pool, owner.account)
    assert (told.namespaces, told.service_accounts) == (5, 9)


async def test_a_change_counts_within_seconds_and_at_once_where_it_was_made(
    keys: ApiKeys, owner: Owner
) -> None:
    reader = AccountLimitsReader(keys.pool)
    assert await reader.of(owner.account) == DEFAULTS
    await set_limit(keys.pool, owner.account, "namespaces", 50)
    assert (await reader.of(owner.account)).namespaces == 10

    reader.forget(owner.account)
    assert (await reader.of(owner.account)).namespaces == 50

    await set_limit(keys.pool, owner.account, "namespaces", 60)

    async def counts() -> bool:
        return (await reader.of(owner.account)).namespaces == 60

    await eventually(counts)


async def test_a_limit_that_a_later_version_had_does_no_harm(keys: ApiKeys, owner: Owner) -> None:
    async with keys.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO account_limits (account_id, name, value) VALUES (%s, 'unheard_of', 7)",
            (owner.account,),
        )

    assert await read_limits(keys.pool, owner.account) == DEFAULTS


async def test_the_reader_remembers_a_bounded_number_of_accounts(
    keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_REMEMBERED_ACCOUNTS", 3)
    reader = AccountLimitsReader(keys.pool)

    for number in range(10):
        await reader.of(f"account{number}")

    assert len(reader._known) == 3


def test_every_default_may_be_set() -> None:
    for name, value in asdict(DEFAULTS).items():
        limits.check_limit(name, value)
