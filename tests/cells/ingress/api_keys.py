"""API keys of tests: who signs them, and how a cell comes to know of them."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import grpc
import jwt
import psycopg
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from cells.ingress.keys import (
    ISSUER,
    KeyRow,
    SigningKeyRow,
    keys_service,
    write_keys,
    write_signing_keys,
)
from tests.cells.ingress.small_cell import SmallCell

_REVISIONS = count(1)


@dataclass(frozen=True)
class Signer:
    """A key that signs tokens."""

    kid: str = field(default_factory=lambda: uuid4().hex)
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def row(self) -> SigningKeyRow:
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key())
        return SigningKeyRow(self.kid, json.loads(jwk))

    def token(
        self,
        key_id: str,
        account: object,
        *,
        namespaces: Sequence[str] | None = None,
        ends_in: timedelta = timedelta(hours=1),
        **claims: object,
    ) -> str:
        values: dict[str, object] = {
            "iss": ISSUER,
            "sub": key_id,
            "account": account,
            "iat": datetime.now(UTC),
            "exp": datetime.now(UTC) + ends_in,
            **claims,
        }
        if namespaces is not None:
            values["namespaces"] = namespaces
        kept = {name: value for name, value in values.items() if value is not None}
        return jwt.encode(kept, self.key, "ES256", headers={"kid": self.kid})


def key_row(
    key_id: str, namespaces: Mapping[str, str] | None = None, *, everywhere: bool = False
) -> KeyRow:
    """Return a key that is live for an hour, and its permissions by namespace."""
    return KeyRow(key_id, datetime.now(UTC) + timedelta(hours=1), everywhere, namespaces or {})


async def know_signers(cell: SmallCell, *signers: Signer) -> None:
    """Let the cell's database have these signing keys and no others."""
    async with await psycopg.AsyncConnection.connect(cell.database.conninfo) as connection:
        await write_signing_keys(connection, [signer.row for signer in signers])


async def know_keys(cell: SmallCell, account: str, *keys: KeyRow) -> None:
    """Let these be the account's live keys, and return once the gatekeeper knows."""
    revision = next(_REVISIONS)
    async with await psycopg.AsyncConnection.connect(cell.database.conninfo) as connection:
        await write_keys(connection, account, revision, keys)
    request = HealthCheckRequest(service=keys_service(account, revision))
    async with (
        asyncio.timeout(60),
        grpc.aio.insecure_channel(cell.gatekeeper.health_listen) as channel,
    ):
        async for answer in HealthStub(channel).Watch(request):
            if answer.status == HealthCheckResponse.SERVING:
                return
