"""What a token says, if its signature is right.

Whether the key it names may do anything is not for this module to say.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import jwt

from cells.ingress.keys import ISSUER, SigningKeyRow

_ALGORITHM = "ES256"
_LONGEST_TOKEN = 8192  # Characters: far longer than any of ours.


class BadToken(Exception):
    """It is not one of ours; the message says why, without saying what it contains."""


@dataclass(frozen=True)
class Claims:
    """What a token says of itself."""

    key_id: str
    account: str
    expires_at: datetime
    namespaces: frozenset[str] | None
    """The only namespaces it is for; None when it does not say."""


class TokenReader:
    """Reads tokens, and remembers whose signatures it has checked."""

    def __init__(
        self, signing_key: Callable[[str], SigningKeyRow | None], *, remembered: int = 10_000
    ) -> None:
        self._signing_key = signing_key
        self._remembered = remembered
        self._read: OrderedDict[bytes, tuple[SigningKeyRow, Claims]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many tokens are remembered."""
        return len(self._read)

    def read(self, token: str) -> Claims:
        """Return the claims, or raise BadToken. Expiry is the caller's to check."""
        if len(token) > _LONGEST_TOKEN:
            raise BadToken("the API key is too long to be one")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._read.get(digest)
        if known is not None and self._signing_key(known[0].kid) == known[0]:
            self._read.move_to_end(digest)
            return known[1]
        self._read.pop(digest, None)
        signed_by, claims = self._verify(token)
        self._read[digest] = signed_by, claims
        if len(self._read) > self._remembered:
            self._read.popitem(last=False)
        return claims

    def _verify(self, token: str) -> tuple[SigningKeyRow, Claims]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise BadToken("the API key is not a token") from None
        kid = header.get("kid")
        key = self._signing_key(kid) if isinstance(kid, str) else None
        if key is None:
            raise BadToken("the API key is signed with a key that is not in force")
        try:
            values = jwt.decode(
                token,
                jwt.PyJWK.from_json(json.dumps(dict(key.jwk)), _ALGORITHM),
                [_ALGORITHM],
                issuer=ISSUER,
                options={
                    "require": ["iss", "sub", "account", "exp"],
                    "verify_exp": False,
                    "verify_aud": False,
                },
            )
            return key, _claims(values)
        except jwt.InvalidIssuerError:
            raise BadToken("the API key is of another issuer") from None
        except jwt.MissingRequiredClaimError as error:
            raise BadToken(f"the API key does not say {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise BadToken(
                "the API key is not signed as it says, or not made as ours are"
            ) from None


def _claims(values: dict[str, object]) -> Claims:
    match values:
        case {"sub": str(key_id), "account": str(account), "exp": int(expires_at)}:
            namespaces = values.get("namespaces")
        case _:
            raise ValueError("a claim has an unexpected type")
    if namespaces is not None and not (
        isinstance(namespaces, list) and all(isinstance(name, str) for name in namespaces)
    ):
        raise ValueError("namespaces is not a list of names")
    return Claims(
        key_id=key_id,
        account=account,
        expires_at=datetime.fromtimestamp(expires_at, UTC),
        namespaces=None if namespaces is None else frozenset(namespaces),
    )
