"""The Fleet API over HTTP: what the Cloud Ops API has no words for, steps and reasons."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter

from cells.types import CellView
from controlplane.api.fleet_types import (
    CertificatePage,
    ClientCa,
    IssuedCertificate,
    NamespaceDetails,
    OperationDetails,
)
from controlplane.api.replica_types import (
    ChangeControl,
    MigrationUnderWay,
    NamespaceReplicas,
    NewFailover,
    NewMigration,
)
from controlplane.cli.connection import Connection
from controlplane.cli.fleet_http import FleetHttp, open_fleet_http, parse, segment
from controlplane.identity.limits import AccountLimits

_OPERATION = TypeAdapter(OperationDetails)
_NAMESPACE = TypeAdapter(NamespaceDetails)
_REPLICAS = TypeAdapter(NamespaceReplicas)
_MIGRATIONS = TypeAdapter(list[MigrationUnderWay])
_CELLS = TypeAdapter(list[CellView])
_CA = TypeAdapter(ClientCa)
_CERTIFICATE = TypeAdapter(IssuedCertificate)
_CERTIFICATES = TypeAdapter(CertificatePage)
_LIMITS = TypeAdapter(AccountLimits)


@dataclass(frozen=True)
class FleetApi:
    """The answers in the words of `fleet_types`; refusals are raised as CommandFailed."""

    http: FleetHttp

    async def operation(self, operation: str) -> OperationDetails:
        return parse(_OPERATION, await self.http.get(f"operations/{segment(operation)}"))

    async def operation_of(self, namespace: str, operation: str) -> OperationDetails:
        """Return an operation of a namespace; operators see those of every account."""
        path = f"{_namespace(namespace)}/operations/{segment(operation)}"
        return parse(_OPERATION, await self.http.get(path))

    async def replicas(self, namespace: str) -> NamespaceReplicas:
        """Return where a namespace is, and what is done to its replicas."""
        return parse(_REPLICAS, await self.http.get(f"{_namespace(namespace)}/replicas"))

    async def fail_over(self, namespace: str, wanted: NewFailover) -> OperationDetails:
        """Make another replica the active one."""
        return await self._ask(f"{_namespace(namespace)}/failovers", wanted.operation_id, wanted)

    async def migrate(self, namespace: str, wanted: NewMigration) -> OperationDetails:
        """Move a replica to another cell."""
        return await self._ask(f"{_namespace(namespace)}/migrations", wanted.operation_id, wanted)

    async def migrations(self) -> list[MigrationUnderWay]:
        """Return every migration under way, of all accounts."""
        return parse(_MIGRATIONS, await self.http.get("migrations"))

    async def confirm_migration(
        self, namespace: str, change: str, wanted: ChangeControl
    ) -> OperationDetails:
        """Let a migration give up the former cell: there is no way back."""
        path = f"{_namespace(namespace)}/migrations/{segment(change)}:confirm"
        return await self._ask(path, wanted.operation_id, wanted)

    async def abort_change(
        self, namespace: str, change: str, wanted: ChangeControl
    ) -> OperationDetails:
        """Undo what is being done to the replicas."""
        path = f"{_namespace(namespace)}/replica-changes/{segment(change)}:abort"
        return await self._ask(path, wanted.operation_id, wanted)

    async def namespace(self, namespace: str) -> NamespaceDetails:
        return parse(_NAMESPACE, await self.http.get(_namespace(namespace)))

    async def cells(self) -> list[CellView]:
        return parse(_CELLS, await self.http.get("cells"))

    async def inspect(self, namespace: str, operation: str) -> OperationDetails:
        """Have the world looked at; what differs is then in the namespace's details."""
        return await self._change("POST", f"{_namespace(namespace)}/inspect", operation)

    async def set_request_limit(
        self, namespace: str, requests_per_second: int, operation: str
    ) -> OperationDetails:
        """Limit the requests that its ingress lets through; 0: no limit."""
        wanted = {"requests_per_second": requests_per_second}
        path = f"{_namespace(namespace)}/request-limit"
        return await self._change("PUT", path, operation, wanted)

    async def client_ca(self, namespace: str) -> ClientCa:
        """Return the CA whose clients the namespace admits."""
        return parse(_CA, await self.http.get(f"{_namespace(namespace)}/client-ca"))

    async def issue_certificate(
        self, namespace: str, csr: str, lifetime_days: int, operation: str
    ) -> OperationDetails:
        """Have its managed CA issue a certificate, which is then found by the operation."""
        wanted: dict[str, str | int] = {"csr": csr, "lifetime_days": lifetime_days}
        path = f"{_namespace(namespace)}/client-certificates"
        return await self._change("POST", path, operation, wanted)

    async def certificates(self, namespace: str, operation: str = "") -> list[IssuedCertificate]:
        """Return what its managed CA has issued: everything, or by one operation."""
        found: list[IssuedCertificate] = []
        page_token = ""
        while True:
            asked = {"operation": operation, "page_token": page_token}
            path = f"{_namespace(namespace)}/client-certificates"
            page = parse(_CERTIFICATES, await self.http.get(path, asked))
            found.extend(page.certificates)
            page_token = page.next_page_token
            if not page_token:
                return found

    async def certificate(self, namespace: str, serial: str) -> IssuedCertificate:
        path = f"{_namespace(namespace)}/client-certificates/{segment(serial)}"
        return parse(_CERTIFICATE, await self.http.get(path))

    async def set_revoked(
        self, namespace: str, serial: str, operation: str, *, revoked: bool
    ) -> OperationDetails:
        """Refuse a client certificate, or take that back."""
        path = f"{_namespace(namespace)}/revoked-certificates/{segment(serial)}"
        return await self._change("PUT" if revoked else "DELETE", path, operation)

    async def limits(self) -> AccountLimits:
        return parse(_LIMITS, await self.http.get("account/limits"))

    async def set_limits(self, changes: Mapping[str, int | None]) -> AccountLimits:
        """Set the limits that are named; None brings a default back."""
        return parse(_LIMITS, await self.http.put("account/limits", dict(changes)))

    async def audit_log(self, since: str | None, until: str | None) -> AsyncIterator[str]:
        """Yield the account's audit log, a line of NDJSON for each record, oldest first."""
        between = {name: at for name, at in (("from", since), ("to", until)) if at is not None}
        async for line in self.http.lines("audit-log", between):
            yield line

    async def _change(
        self,
        method: str,
        path: str,
        operation: str,
        wanted: Mapping[str, str | int] | None = None,
    ) -> OperationDetails:
        """Ask for a change; asked for again under the same operation id, it is made once."""
        named = {"operation_id": operation}
        # A DELETE has no body.
        sent = {"params": named} if method == "DELETE" else {"json": {**(wanted or {}), **named}}
        answer = await self.http.change(
            method, path, how_to_repeat=_how_to_repeat(operation), **sent
        )
        return parse(_OPERATION, answer)

    async def _ask(self, path: str, operation: str, wanted: BaseModel) -> OperationDetails:
        answer = await self.http.change(
            "POST",
            path,
            how_to_repeat=_how_to_repeat(operation),
            json=wanted.model_dump(mode="json", exclude_defaults=True),
        )
        return parse(_OPERATION, answer)


@asynccontextmanager
async def open_fleet_api(connection: Connection) -> AsyncIterator[FleetApi]:
    """Open the connection's Fleet API."""
    async with open_fleet_http(connection) as http:
        yield FleetApi(http)


def _how_to_repeat(operation: str) -> str:
    return f"Repeat it with --operation-id {operation}, and it is done once"


def _namespace(namespace: str) -> str:
    return f"namespaces/{segment(namespace)}"
