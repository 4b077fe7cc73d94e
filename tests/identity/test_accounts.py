import asyncio
from collections.abc import AsyncIterator

import pytest

from controlplane.identity.accounts import (
    ensure_first_account,
    issue_owner_key,
    new_account_id,
)
from controlplane.identity.keys import ApiKeys
from controlplane.identity.signing_keys import load_signer
from controlplane.identity.types import Role, User
from controlplane.ids import ACCOUNT_ID
from controlplane.secrets.memory import MemorySecretStore
from controlplane.store.pool import Pool, open_pool_on
from controlplane.store.schema import migrate
from tests.postgres import Database, RunningPostgres

EMAIL = "olga@example.com"


@pytest.fixture
async def database(postgres: RunningPostgres) -> Database:
    database = await postgres.create_database()
    await migrate(database.conninfo)
    return database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool_on(database.conninfo)
    try:
        yield pool
    finally:
        await pool.close()


async def test_the_first_account_comes_with_a_working_owner_key(
    database: Database, pool: Pool
) -> None:
    store = MemorySecretStore()

    first = await ensure_first_account(database.conninfo, store, name="Acme", owner_email=EMAIL)

    assert ACCOUNT_ID.fullmatch(first.account_id)
    assert first.token is not None
    principal = await ApiKeys(pool, await load_signer(store)).verify(first.token)
    assert principal.account.id == first.account_id
    assert (principal.account.name, principal.account.operator) == ("Acme", True)
    assert isinstance(principal.owner, User)
    assert (principal.owner.email, principal.access.role) == (EMAIL, Role.OWNER)


async def test_a_deployment_has_one_first_account_however_often_it_is_asked_for(
    database: Database,
) -> None:
    store = MemorySecretStore()

    made = await asyncio.gather(
        *(
            ensure_first_account(database.conninfo, store, name="Acme", owner_email=EMAIL)
            for _ in range(4)
        )
    )

    assert len({first.account_id for first in made}) == 1
    assert sum(first.token is not None for first in made) == 1


async def test_a_lost_first_key_can_be_replaced(database: Database, pool: Pool) -> None:
    store = MemorySecretStore()
    first = await ensure_first_account(database.conninfo, store, name="Acme", owner_email=EMAIL)

    token = await issue_owner_key(database.conninfo, store, first.account_id)

    principal = await ApiKeys(pool, await load_signer(store)).verify(token)
    assert principal.account.id == first.account_id


async def test_tokens_do_not_show_in_representations(database: Database) -> None:
    store = MemorySecretStore()
    first = await ensure_first_account(database.conninfo, store, name="Acme", owner_email=EMAIL)

    assert first.token is not None
    assert first.token not in repr(first)


def test_account_ids_are_valid() -> None:
    assert all(ACCOUNT_ID.fullmatch(new_account_id()) for _ in range(100))
