"""The client certificates that managed CAs issued: recorded by entities, read by the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from pydantic import TypeAdapter

from controlplane.store.pool import Pool
from provisioning.types import ClientCertificate

_ISSUED = TypeAdapter(ClientCertificate)

_RECORD = """
INSERT INTO client_certificates (namespace, uid, operation, serial, issued)
VALUES (%(namespace)s, %(uid)s, %(operation)s, %(serial)s, %(issued)s)
ON CONFLICT (namespace, uid, operation) DO NOTHING
"""
_FORGET = "DELETE FROM client_certificates WHERE namespace = %s AND uid = %s"
# Of the present incarnation alone: the CA of an earlier one is gone, and its certificates with it.
_OF_NAMESPACE: LiteralString = """
SELECT issued.number, issued.operation, issued.issued::text
FROM client_certificates issued
JOIN namespaces present ON present.id = issued.namespace AND present.uid = issued.uid
WHERE issued.namespace = %(namespace)s AND present.account_id = %(account)s
  AND present.life <> 'DELETED'
"""
_PAGE: LiteralString = (
    _OF_NAMESPACE + " AND issued.number > %(after)s ORDER BY issued.number LIMIT %(limit)s"
)
_OF_OPERATION: LiteralString = _OF_NAMESPACE + " AND issued.operation = %(operation)s"
_OF_SERIAL: LiteralString = _OF_NAMESPACE + " AND issued.serial = %(serial)s"


@dataclass(frozen=True)
class IssuedCertificate:
    number: int
    """Rises with every certificate issued, whatever the namespace."""
    operation: str
    """The operation that asked for it."""
    certificate: ClientCertificate


@dataclass(frozen=True)
class RecordedClientCertificates:
    """Implements `provisioning.ports.ClientCertificates`."""

    pool: Pool

    async def record(
        self, namespace: str, uid: str, operation: str, issued: ClientCertificate
    ) -> None:
        """Make the certificate readable; the first one recorded for an operation stays."""
        async with self.pool.connection() as connection:
            await connection.execute(
                _RECORD,
                {
                    "namespace": namespace,
                    "uid": uid,
                    "operation": operation,
                    "serial": issued.serial,
                    "issued": _ISSUED.dump_json(issued).decode(),
                },
            )

    async def forget(self, namespace: str, uid: str) -> None:
        """Remove what was recorded of the incarnation's certificates."""
        async with self.pool.connection() as connection:
            await connection.execute(_FORGET, (namespace, uid))


@dataclass(frozen=True)
class ClientCertificateReads:
    """What a namespace's managed CA has issued, within one account."""

    pool: Pool

    async def list(
        self, account: str, namespace: str, *, after: int = 0, limit: int
    ) -> Sequence[IssuedCertificate]:
        """Return up to `limit` certificates, oldest first, those numbered after `after`."""
        return await _read(
            self.pool,
            _PAGE,
            {"account": account, "namespace": namespace, "after": after, "limit": limit},
        )

    async def of_operation(
        self, account: str, namespace: str, operation: str
    ) -> IssuedCertificate | None:
        """Return what the operation asked for, once it is issued."""
        found = await _read(
            self.pool,
            _OF_OPERATION,
            {"account": account, "namespace": namespace, "operation": operation},
        )
        return found[0] if found else None

    async def of_serial(
        self, account: str, namespace: str, serial: str
    ) -> IssuedCertificate | None:
        """Return the certificate with the serial: hexadecimal, lower case, no leading zeros."""
        found = await _read(
            self.pool, _OF_SERIAL, {"account": account, "namespace": namespace, "serial": serial}
        )
        return found[0] if found else None


async def _read(
    pool: Pool, query: LiteralString, values: Mapping[str, str | int]
) -> list[IssuedCertificate]:
    async with pool.connection() as connection:
        rows = await connection.execute(query, values)
        return [
            IssuedCertificate(number, operation, _ISSUED.validate_json(issued))
            async for number, operation, issued in rows
        ]
