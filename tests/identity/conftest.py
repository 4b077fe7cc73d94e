from collections.abc import AsyncIterator

import pytest

from controlplane.identity.keys import ApiKeys
from controlplane.identity.signing_keys import ensure_signer
from controlplane.secrets.memory import MemorySecretStore
from tests.identity.people import Owner, new_owner
from tests.postgres import RunningPostgres
from tests.store.databases import migrated_pool


@pytest.fixture
def signing_secrets() -> MemorySecretStore:
    """The secret store that holds the signing keys of `keys`."""
    return MemorySecretStore()


@pytest.fixture
async def keys(
    postgres: RunningPostgres, signing_secrets: MemorySecretStore
) -> AsyncIterator[ApiKeys]:
    async with migrated_pool(postgres) as pool:
        yield ApiKeys(pool, await ensure_signer(signing_secrets))


@pytest.fixture
async def owner(keys: ApiKeys) -> Owner:
    return await new_owner(keys)
