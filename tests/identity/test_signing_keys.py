import asyncio
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.identity.keys import ApiKeys
from controlplane.identity.signing_keys import (
    Signer,
    load_signer,
    retire_signing_key,
    rotate_signing_key,
)
from controlplane.identity.types import Unauthenticated
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import API_SIGNING_KEY, former_signing_key
from tests.identity.people import Owner

HOUR = timedelta(hours=1)


@pytest.fixture
def conninfo(keys: ApiKeys) -> str:
    assert isinstance(keys.pool.conninfo, str)
    return keys.pool.conninfo


async def test_a_rotation_signs_with_a_new_key_and_believes_the_old_one(
    keys: ApiKeys, owner: Owner, signing_secrets: MemorySecretStore, conninfo: str
) -> None:
    old = await owner.key()

    current = await rotate_signing_key(conninfo, signing_secrets)

    assert (await keys.verify(old.token)).key.id == old.id
    new = await owner.key()
    assert jwt.get_unverified_header(new.token)["kid"] == current == keys.signer.key_id


async def test_nobody_can_sign_with_a_former_key_again(
    keys: ApiKeys, signing_secrets: MemorySecretStore, conninfo: str
) -> None:
    former = keys.signer.key_id

    await rotate_signing_key(conninfo, signing_secrets)

    load_pem_public_key(signing_secrets.values[former_signing_key(former)])
    assert all(
        b"PRIVATE" not in value
        for name, value in signing_secrets.values.items()
        if name != API_SIGNING_KEY
    )


async def test_tokens_of_a_retired_key_count_no_more(
    keys: ApiKeys, owner: Owner, signing_secrets: MemorySecretStore, conninfo: str
) -> None:
    old, former = await owner.key(), keys.signer.key_id
    await keys.verify(old.token)
    await rotate_signing_key(conninfo, signing_secrets)
    new_id = (await owner.key()).id

    await retire_signing_key(conninfo, signing_secrets, former)

    with pytest.raises(Unauthenticated):
        await keys.verify(old.token)
    assert [jwk["kid"] for jwk in await keys.public_keys()] == [keys.signer.key_id]
    assert new_id != old.id


async def test_the_current_key_cannot_be_retired(
    keys: ApiKeys, signing_secrets: MemorySecretStore, conninfo: str
) -> None:
    with pytest.raises(ApplicationError, match="rotate first") as refusal:
        await retire_signing_key(conninfo, signing_secrets, keys.signer.key_id)
    assert refusal.value.type == ErrorType.FAILED_PRECONDITION

    with pytest.raises(ApplicationError, match="there are: none") as refusal:
        await retire_signing_key(conninfo, signing_secrets, "nothing")
    assert refusal.value.type == ErrorType.NOT_FOUND


async def test_rotations_at_once_follow_one_another(
    owner: Owner, keys: ApiKeys, signing_secrets: MemorySecretStore, conninfo: str
) -> None:
    first = keys.signer.key_id

    made = await asyncio.gather(*(rotate_signing_key(conninfo, signing_secrets) for _ in range(4)))

    known = {jwk["kid"] for jwk in await keys.public_keys()}
    assert known == {first, *made}
    await keys.verify((await owner.key()).token)


async def test_a_token_of_a_key_that_was_not_announced_is_believed(
    keys: ApiKeys, owner: Owner, signing_secrets: MemorySecretStore, conninfo: str
) -> None:
    await keys.verify((await owner.key()).token)
    await rotate_signing_key(conninfo, signing_secrets)
    async with keys.pool.connection() as connection:
        # As if the process that rotated had died before it could say so.
        await connection.execute("UPDATE signing_key_revision SET revision = revision - 1")
    another = ApiKeys(keys.pool, await load_signer(signing_secrets))

    issued = await another.issue(owner.account, owner.user, display_name="x", lifetime=HOUR)

    assert (await keys.verify(issued.token)).key.id == issued.id


async def test_a_signer_without_keys_says_so() -> None:
    with pytest.raises(LookupError, match="have not been loaded"):
        Signer(MemorySecretStore()).read("token")
