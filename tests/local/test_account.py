from controlplane.identity.keys import ApiKeys
from controlplane.identity.limits import read_limits, set_limit
from controlplane.identity.signing_keys import load_signer
from controlplane.local.account import LIMITS, ensure_account
from controlplane.local.fleet_secrets import OWNER_API_KEY
from controlplane.secrets.memory import MemorySecretStore
from controlplane.store.pool import open_pool_on
from controlplane.store.schema import migrate
from tests.postgres import RunningPostgres


async def test_the_first_account_has_a_key_and_limits_that_are_in_nobodys_way(
    postgres: RunningPostgres,
) -> None:
    database, secrets = await postgres.create_database(), MemorySecretStore()
    await migrate(database.conninfo)

    account = await ensure_account(database.conninfo, secrets)

    pool = await open_pool_on(database.conninfo)
    try:
        token = await secrets.get(OWNER_API_KEY)
        assert token is not None
        keys = ApiKeys(pool, await load_signer(secrets))
        assert (await keys.verify(token.decode())).account.id == account
        limits = vars(await read_limits(pool, account))
        assert limits == limits | LIMITS

        # What somebody set stays, also when the fleet starts again.
        await set_limit(pool, account, "namespaces", 5)
        assert await ensure_account(database.conninfo, secrets) == account
        assert (await read_limits(pool, account)).namespaces == 5
    finally:
        await pool.close()
