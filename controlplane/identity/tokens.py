"""The tokens of API keys: JSON Web Tokens signed with ES256.

A token names its key and account; whether the key still counts is for its row to say.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from controlplane.identity.types import Unauthenticated
from controlplane.secrets.port import API_SIGNING_KEY, SecretStore

ISSUER = "controlplane"
_ALGORITHM = "ES256"


@dataclass(frozen=True)
class TokenClaims:
    key: str
    account: str
    expires_at: datetime


@dataclass(frozen=True)
class Signer:
    """Signs tokens, and reads only those it signed."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    key_id: str
    """The thumbprint of the public key (RFC 7638): the `kid` of its tokens."""

    @classmethod
    def of(cls, key: ec.EllipticCurvePrivateKey) -> Self:
        public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        members = {name: public[name] for name in ("crv", "kty", "x", "y")}
        canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
        thumbprint = hashlib.sha256(canonical.encode()).digest()
        return cls(key, base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode())

    def sign(self, claims: TokenClaims) -> str:
        return jwt.encode(
            {
                "iss": ISSUER,
                "sub": claims.key,
                "account": claims.account,
                "iat": datetime.now(UTC),
                "exp": claims.expires_at,
            },
            self.key,
            _ALGORITHM,
            headers={"kid": self.key_id},
        )

    def read(self, token: str) -> TokenClaims:
        """Return what the token says; raise Unauthenticated for any but a good one of ours."""
        try:
            claims = jwt.decode(
                token,
                self.key.public_key(),
                [_ALGORITHM],
                issuer=ISSUER,
                options={"require": ["iss", "sub", "account", "iat", "exp"]},
            )
        except jwt.InvalidTokenError:
            raise Unauthenticated from None
        return TokenClaims(
            str(claims["sub"]), str(claims["account"]), datetime.fromtimestamp(claims["exp"], UTC)
        )


async def load_signer(secrets: SecretStore) -> Signer:
    """Return the signer of the deployment's signing key."""
    pem = await secrets.get(API_SIGNING_KEY)
    if pem is None:
        raise LookupError(
            f"the secret {API_SIGNING_KEY} is missing: making the first account makes it"
        )
    return _from_pem(pem)


async def ensure_signer(secrets: SecretStore) -> Signer:
    """Return the deployment's signer, making its key if there is none."""
    pem = await secrets.get(API_SIGNING_KEY)
    if pem is None:
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        await secrets.put(API_SIGNING_KEY, pem)
    return _from_pem(pem)


def _from_pem(pem: bytes) -> Signer:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"the secret {API_SIGNING_KEY} is not a private key on P-256")
    return Signer.of(key)
