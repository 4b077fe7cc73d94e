"""The tokens of API keys: JSON Web Tokens signed with ES256.

A token names its key and account; whether the key still counts is for its row to say. The token of
a key that can only ever reach one namespace names that as well.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from cells.ingress.keys import ISSUER
from controlplane.identity.types import Unauthenticated

_ALGORITHM = "ES256"
_REQUIRED = ["iss", "sub", "account", "iat", "exp"]


@dataclass(frozen=True)
class TokenClaims:
    key: str
    account: str
    expires_at: datetime
    namespaces: tuple[str, ...] = ()
    """The only namespaces, by full id, that the key reaches; empty for those its row names."""


class UnknownSigningKey(Unauthenticated):
    """The token names a signing key that is not in force, as far as this process knows."""


@dataclass(frozen=True)
class SigningKey:
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    key_id: str
    """The thumbprint of the public key (RFC 7638): the `kid` of its tokens."""

    @classmethod
    def of(cls, private: ec.EllipticCurvePrivateKey) -> Self:
        return cls(private, thumbprint(private.public_key()))

    def sign(self, claims: TokenClaims) -> str:
        payload: dict[str, object] = {
            "iss": ISSUER,
            "sub": claims.key,
            "account": claims.account,
            "iat": datetime.now(UTC),
            "exp": claims.expires_at,
        }
        if claims.namespaces:
            payload["namespaces"] = list(claims.namespaces)
        return jwt.encode(payload, self.private, _ALGORITHM, headers={"kid": self.key_id})


@dataclass(frozen=True)
class KeyRing:
    """The signing keys in force: one signs, and what any of them signed is believed."""

    current: SigningKey
    former: Mapping[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)
    """By key id: they sign no more."""

    @property
    def public(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """Return every key in force, by key id."""
        return {**self.former, self.current.key_id: self.current.private.public_key()}

    @property
    def jwks(self) -> list[dict[str, str]]:
        """Return the public keys as JSON Web Keys (RFC 7517), by key id."""
        return [
            {**_jwk(key), "kid": key_id, "alg": _ALGORITHM, "use": "sig"}
            for key_id, key in sorted(self.public.items())
        ]

    def read(self, token: str) -> TokenClaims:
        """Return what the token says; raise Unauthenticated for any but a good one of ours."""
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = self.public.get(str(key_id))
            if key is None:
                raise UnknownSigningKey
            claims = jwt.decode(
                token, key, [_ALGORITHM], issuer=ISSUER, options={"require": _REQUIRED}
            )
        except jwt.InvalidTokenError:
            raise Unauthenticated from None
        return TokenClaims(
            str(claims["sub"]),
            str(claims["account"]),
            datetime.fromtimestamp(claims["exp"], UTC),
            tuple(map(str, claims.get("namespaces", ()))),
        )


def thumbprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return the key's thumbprint (RFC 7638)."""
    canonical = json.dumps(_jwk(key), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    public = jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
    return {name: str(public[name]) for name in ("crv", "kty", "x", "y")}
