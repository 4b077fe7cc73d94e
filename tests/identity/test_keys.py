from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.identity.keys import LONGEST_LIFETIME, ApiKeys
from controlplane.identity.signing_keys import load_signer
from controlplane.identity.tokens import SigningKey, TokenClaims
from controlplane.identity.types import Access, Role, Unauthenticated, User
from controlplane.secrets.memory import MemorySecretStore
from tests.identity.people import Owner, new_owner

SOON = datetime.now(UTC) + timedelta(hours=1)


async def test_a_key_speaks_for_its_owner(keys: ApiKeys, owner: Owner) -> None:
    issued = await owner.key()

    principal = await keys.verify(issued.token)

    assert principal.account.id == owner.account
    assert isinstance(principal.owner, User)
    assert (principal.owner.id, principal.access) == (owner.user, Access(Role.OWNER))
    assert (principal.key.id, principal.key.expires_at) == (issued.id, issued.expires_at)


async def test_a_token_names_the_key_that_signed_it(keys: ApiKeys, owner: Owner) -> None:
    token = (await owner.key()).token

    header = jwt.get_unverified_header(token)

    assert (header["alg"], header["kid"]) == ("ES256", keys.signer.key_id)


async def test_a_revoked_key_stops_counting_at_once_and_for_good(
    keys: ApiKeys, owner: Owner
) -> None:
    issued = await owner.key()
    await keys.revoke(owner.account, issued.id)
    await keys.revoke(owner.account, issued.id)
    await keys.set_disabled(owner.account, issued.id, False)

    with pytest.raises(Unauthenticated):
        await keys.verify(issued.token)


async def test_a_disabled_key_counts_again_once_enabled(keys: ApiKeys, owner: Owner) -> None:
    issued = await owner.key()
    await keys.set_disabled(owner.account, issued.id, True)
    with pytest.raises(Unauthenticated):
        await keys.verify(issued.token)

    await keys.set_disabled(owner.account, issued.id, False)

    assert (await keys.verify(issued.token)).key.id == issued.id


async def test_an_account_cannot_touch_the_keys_of_another(keys: ApiKeys, owner: Owner) -> None:
    issued = await owner.key()
    stranger = await new_owner(keys)

    with pytest.raises(ApplicationError) as refusal:
        await keys.revoke(stranger.account, issued.id)

    assert refusal.value.type == ErrorType.NOT_FOUND
    assert (await keys.verify(issued.token)).account.id == owner.account


async def test_a_key_whose_row_says_expired_does_not_count(keys: ApiKeys, owner: Owner) -> None:
    issued = await owner.key()
    async with keys.pool.connection() as connection:
        await connection.execute("UPDATE api_keys SET expires_at = now()")

    with pytest.raises(Unauthenticated):
        await keys.verify(issued.token)


@pytest.mark.parametrize(
    "lifetime",
    [timedelta(0), -timedelta(days=1), LONGEST_LIFETIME + timedelta(seconds=1)],
    ids=str,
)
async def test_a_key_must_expire_within_the_limit(owner: Owner, lifetime: timedelta) -> None:
    with pytest.raises(ApplicationError, match="730 days"):
        await owner.key(lifetime)


async def test_a_key_needs_an_owner_in_its_account(keys: ApiKeys, owner: Owner) -> None:
    stranger = await new_owner(keys)
    with pytest.raises(ApplicationError, match="has no user"):
        await keys.issue(
            owner.account, stranger.user, display_name="x", lifetime=timedelta(hours=1)
        )


async def test_only_our_unexpired_tokens_of_existing_keys_count(
    keys: ApiKeys, owner: Owner
) -> None:
    issued = await owner.key()
    stranger = await new_owner(keys)
    other = SigningKey.of(ec.generate_private_key(ec.SECP256R1()))
    good = jwt.decode(issued.token, options={"verify_signature": False})
    private, kid = keys.signer.ring.current.private, {"kid": keys.signer.key_id}

    refused = {
        "empty": "",
        "not a token": "hello",
        "signed by another key": other.sign(TokenClaims(issued.id, owner.account, SOON)),
        "unsigned": jwt.encode(good, "", "none"),
        "expired": keys.signer.sign(
            TokenClaims(issued.id, owner.account, datetime.now(UTC) - timedelta(seconds=1))
        ),
        "unknown key": keys.signer.sign(TokenClaims("nobody", owner.account, SOON)),
        "another account's": keys.signer.sign(TokenClaims(issued.id, stranger.account, SOON)),
        "another issuer's": jwt.encode({**good, "iss": "somebody"}, private, "ES256", kid),
        **{
            f"without {claim}": jwt.encode(
                {name: value for name, value in good.items() if name != claim},
                private,
                "ES256",
                kid,
            )
            for claim in ("iss", "sub", "account", "iat", "exp")
        },
    }

    texts = set()
    for token in refused.values():
        with pytest.raises(Unauthenticated) as refusal:
            await keys.verify(token)
        texts.add(str(refusal.value))
    assert len(texts) == 1, "a stranger can tell what is wrong with a key"


async def test_a_missing_signing_key_is_named() -> None:
    with pytest.raises(LookupError, match="identity/signing-key"):
        await load_signer(MemorySecretStore())
