"""Which tokens are believed."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import jwt
import pytest

from cells.ingress.gatekeeper.tokens import BadToken, TokenReader
from cells.ingress.keys import SigningKeyRow
from tests.cells.ingress.api_keys import Signer

SIGNER, OTHER = Signer(), Signer()
IMPOSTOR = Signer(kid=SIGNER.kid)


def reader(*signers: Signer, remembered: int = 100) -> TokenReader:
    in_force = {signer.kid: signer.row for signer in signers}
    return TokenReader(in_force.get, remembered=remembered)


def test_a_token_signed_by_a_key_in_force_is_read() -> None:
    tokens = reader(OTHER, SIGNER)

    for _ in range(2):
        claims = tokens.read(SIGNER.token("key-1", "acme1", namespaces=["orders.acme1"]))
        assert (claims.key_id, claims.account) == ("key-1", "acme1")
        assert claims.namespaces == frozenset({"orders.acme1"})
    assert tokens.read(OTHER.token("key-2", "acme1")).namespaces is None


def test_an_expired_token_is_read_all_the_same() -> None:
    """Whoever asks says what time it is."""
    claims = reader(SIGNER).read(SIGNER.token("key-1", "acme1", ends_in=timedelta(hours=-1)))
    assert claims.key_id == "key-1"


def unsigned() -> str:
    _header, payload, _signature = SIGNER.token("key-1", "acme1").split(".")
    forged = json.dumps({"alg": "none", "typ": "JWT", "kid": SIGNER.kid}).encode()
    return f"{base64.urlsafe_b64encode(forged).rstrip(b'=').decode()}.{payload}."


def signed_with_the_public_key_as_a_secret() -> str:
    secret = SIGNER.row.jwk["x"] + SIGNER.row.jwk["y"]
    claims = {"iss": "controlplane", "sub": "key-1", "account": "acme1", "exp": 4_000_000_000}
    return jwt.encode(claims, secret, "HS256", headers={"kid": SIGNER.kid})


@pytest.mark.parametrize(
    ("token", "why"),
    [
        pytest.param(lambda: "", "not a token", id="empty"),
        pytest.param(lambda: "a.b.c", "not a token", id="no token"),
        pytest.param(lambda: "x" * 10_000, "too long", id="too long"),
        pytest.param(lambda: Signer().token("key-1", "acme1"), "not in force", id="unknown kid"),
        pytest.param(lambda: IMPOSTOR.token("key-1", "acme1"), "not signed", id="wrong signature"),
        pytest.param(unsigned, "not signed", id="alg none"),
        pytest.param(signed_with_the_public_key_as_a_secret, "not signed", id="alg HS256"),
        pytest.param(
            lambda: SIGNER.token("key-1", "acme1", iss="somebody"), "issuer", id="another issuer"
        ),
        pytest.param(
            lambda: SIGNER.token("key-1", "acme1", exp=None), "does not say exp", id="for ever"
        ),
        pytest.param(lambda: SIGNER.token("key-1", None), "account", id="no account"),
        pytest.param(lambda: SIGNER.token("key-1", 7), "not signed", id="odd account"),
        pytest.param(
            lambda: SIGNER.token("key-1", "acme1", namespaces="orders.acme1"),
            "not signed",
            id="namespaces that are letters",
        ),
    ],
)
def test_anything_else_is_not_believed(token: Callable[[], str], why: str) -> None:
    with pytest.raises(BadToken, match=why):
        reader(SIGNER).read(token())


def test_a_token_that_was_read_is_not_believed_once_its_signing_key_is_gone() -> None:
    in_force: dict[str, SigningKeyRow] = {SIGNER.kid: SIGNER.row}
    tokens, token = TokenReader(in_force.get), SIGNER.token("key-1", "acme1")
    tokens.read(token)

    in_force[SIGNER.kid] = IMPOSTOR.row
    with pytest.raises(BadToken, match="not signed"):
        tokens.read(token)
    del in_force[SIGNER.kid]
    with pytest.raises(BadToken, match="not in force"):
        tokens.read(token)


def test_no_more_tokens_are_remembered_than_allowed() -> None:
    tokens = reader(SIGNER, remembered=2)
    for number in range(5):
        token = SIGNER.token(f"key-{number}", "acme1")
        for _ in range(2):
            assert tokens.read(token).key_id == f"key-{number}"

    assert len(tokens) == 2
