"""The signing keys of a deployment: in the secret store, one of them current, rotated at will.

The current one is kept whole; a former one leaves its public half, so that nobody can sign with it
again. A number in PostgreSQL rises when they change, and is read with every key that is checked:
a process that finds it changed loads them anew before it believes anything.
"""

import asyncio
import hashlib
import time
from datetime import UTC, datetime

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import AsyncConnection
from temporalio.exceptions import ApplicationError

from controlplane.errors import failed_precondition, not_found
from controlplane.identity.tokens import KeyRing, SigningKey, TokenClaims, thumbprint
from controlplane.secrets.port import (
    API_SIGNING_KEY,
    FORMER_SIGNING_KEYS,
    SecretStore,
    former_signing_key,
)
from controlplane.store.batching import Recent

_LOCK = 0x7369676E6B657973  # Taken while the keys are changed: "signkeys" in ASCII.
_LOOK_AGAIN_AFTER = 1.0  # Seconds: strangers can make us look, so not at every call.
_TOKENS_REMEMBERED = 10_000
_REVISION = "SELECT revision FROM signing_key_revision"
_RAISE_REVISION = "UPDATE signing_key_revision SET revision = revision + 1"


class Signer:
    """Signs tokens and reads them, by the keys in force as last loaded."""

    def __init__(self, secrets: SecretStore, ring: KeyRing | None = None) -> None:
        """Without a ring, the keys are those that `follow` or `refresh` loads first."""
        self._secrets = secrets
        self._use(ring)
        self._revision: int | None = None
        self._loading = asyncio.Lock()
        self._looked_at = float("-inf")

    @property
    def ring(self) -> KeyRing:
        if self._ring is None:
            raise LookupError("the signing keys have not been loaded")
        return self._ring

    @property
    def key_id(self) -> str:
        return self.ring.current.key_id

    def sign(self, claims: TokenClaims) -> str:
        return self.ring.current.sign(claims)

    def read(self, token: str) -> TokenClaims:
        """Return what the token says; raise Unauthenticated for any but a good one of ours."""
        # What was signed stays so, until it expires or the keys change.
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._read.get(digest)
        if claims is None or claims.expires_at <= datetime.now(UTC):
            claims = self.ring.read(token)
            self._read.put(digest, claims)
        return claims

    async def follow(self, revision: int) -> bool:
        """Load the keys unless they are of this revision; tell whether they were loaded."""
        if revision == self._revision:
            return False
        async with self._loading:
            if revision == self._revision:
                return False
            self._use(await _load(self._secrets))
            self._revision = revision
            return True

    async def refresh(self, connection: AsyncConnection) -> bool:
        """Load the keys if they changed; tell whether they did."""
        return await self.follow(await signing_key_revision(connection))

    async def look_again(self) -> None:
        """Load the keys whatever their revision, unless that was done a moment ago."""
        if time.monotonic() - self._looked_at < _LOOK_AGAIN_AFTER:
            return
        async with self._loading:
            self._looked_at = time.monotonic()
            self._use(await _load(self._secrets))

    def _use(self, ring: KeyRing | None) -> None:
        self._ring = ring
        self._read: Recent[bytes, TokenClaims] = Recent(_TOKENS_REMEMBERED)


async def load_signer(secrets: SecretStore) -> Signer:
    """Return the signer of the deployment's signing keys."""
    return Signer(secrets, await _load(secrets))


async def ensure_signer(secrets: SecretStore) -> Signer:
    """Return the deployment's signer, making its first key if there is none."""
    if await secrets.get(API_SIGNING_KEY) is None:
        await secrets.put(API_SIGNING_KEY, _new_private_pem())
    return await load_signer(secrets)


async def rotate_signing_key(conninfo: str, secrets: SecretStore) -> str:
    """Sign new tokens with a new key from now on, and return its id.

    Tokens of the key before stay valid until they expire or `retire_signing_key` ends them.
    """
    async with await AsyncConnection.connect(conninfo) as connection:
        await _exclusively(connection)
        before = (await _load(secrets)).current
        await secrets.put(
            former_signing_key(before.key_id),
            before.private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        )
        pem = _new_private_pem()
        await secrets.put(API_SIGNING_KEY, pem)
        # Dying before this, the next rotation tells; until then processes sign as before.
        await connection.execute(_RAISE_REVISION)
        return SigningKey.of(_private(pem)).key_id


async def retire_signing_key(conninfo: str, secrets: SecretStore, key_id: str) -> None:
    """Believe no token any more that this former key signed."""
    async with await AsyncConnection.connect(conninfo) as connection:
        await _exclusively(connection)
        ring = await _load(secrets)
        if key_id == ring.current.key_id:
            raise failed_precondition(
                f"signing key {key_id} is the current one: rotate first, then retire it"
            )
        if key_id not in ring.former:
            raise _no_such_key(key_id, ring)
        await secrets.delete(former_signing_key(key_id))
        await connection.execute(_RAISE_REVISION)


async def signing_key_revision(connection: AsyncConnection) -> int:
    row = await (await connection.execute(_REVISION)).fetchone()
    if row is None:
        raise LookupError("the table signing_key_revision is empty: it has one row")
    return int(row[0])


async def _exclusively(connection: AsyncConnection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


async def _load(secrets: SecretStore) -> KeyRing:
    pem = await secrets.get(API_SIGNING_KEY)
    if pem is None:
        raise LookupError(
            f"the secret {API_SIGNING_KEY} is missing: making the first account makes it"
        )
    former = {}
    for name in await secrets.names(FORMER_SIGNING_KEYS):
        public_pem = await secrets.get(name)
        # Retired since its name was read.
        if public_pem is not None:
            public = _public(name, public_pem)
            former[thumbprint(public)] = public
    return KeyRing(SigningKey.of(_private(pem)), former)


def _new_private_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"the secret {API_SIGNING_KEY} is not a private key on P-256")
    return key


def _public(name: str, pem: bytes) -> ec.EllipticCurvePublicKey:
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"the secret {name} is not a public key on P-256")
    return key


def _no_such_key(key_id: str, ring: KeyRing) -> ApplicationError:
    known = ", ".join(sorted(ring.former)) or "none"
    return not_found(f"there is no former signing key {key_id}; there are: {known}")
