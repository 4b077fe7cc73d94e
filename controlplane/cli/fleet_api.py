"""The Fleet API over HTTP: what the Cloud Ops API has no words for, steps and reasons."""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from cells.types import CellView
from controlplane.api.fleet_types import (
    CertificatePage,
    ClientCa,
    IssuedCertificate,
    NamespaceDetails,
    OperationDetails,
    Problem,
)
from controlplane.cli.connection import Connection, nothing_answers
from controlplane.cli.failures import (
    CommandFailed,
    NothingToChange,
    says_nothing_to_change,
)
from controlplane.identity.limits import AccountLimits

T = TypeVar("T")

_OPERATION = TypeAdapter(OperationDetails)
_NAMESPACE = TypeAdapter(NamespaceDetails)
_CELLS = TypeAdapter(list[CellView])
_CA = TypeAdapter(ClientCa)
_CERTIFICATE = TypeAdapter(IssuedCertificate)
_CERTIFICATES = TypeAdapter(CertificatePage)
_LIMITS = TypeAdapter(AccountLimits)
_PROBLEM = TypeAdapter(Problem)


class ApiUnavailable(CommandFailed):
    """The API does not answer now; it may in a moment."""


@dataclass(frozen=True)
class FleetApi:
    """The answers in the words of `fleet_types`; refusals are raised as CommandFailed."""

    http: httpx.AsyncClient

    async def operation(self, operation: str) -> OperationDetails:
        return _parse(_OPERATION, await self._get(f"operations/{_segment(operation)}"))

    async def namespace(self, namespace: str) -> NamespaceDetails:
        return _parse(_NAMESPACE, await self._get(_namespace(namespace)))

    async def cells(self) -> list[CellView]:
        return _parse(_CELLS, await self._get("cells"))

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
        return _parse(_CA, await self._get(f"{_namespace(namespace)}/client-ca"))

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
            page = _parse(_CERTIFICATES, await self._get(path, asked))
            found.extend(page.certificates)
            page_token = page.next_page_token
            if not page_token:
                return found

    async def certificate(self, namespace: str, serial: str) -> IssuedCertificate:
        path = f"{_namespace(namespace)}/client-certificates/{_segment(serial)}"
        return _parse(_CERTIFICATE, await self._get(path))

    async def set_revoked(
        self, namespace: str, serial: str, operation: str, *, revoked: bool
    ) -> OperationDetails:
        """Refuse a client certificate, or take that back."""
        path = f"{_namespace(namespace)}/revoked-certificates/{_segment(serial)}"
        return await self._change("PUT" if revoked else "DELETE", path, operation)

    async def limits(self) -> AccountLimits:
        return _parse(_LIMITS, await self._get("account/limits"))

    async def set_limits(self, changes: Mapping[str, int | None]) -> AccountLimits:
        """Set the limits that are named; None brings a default back."""
        with self._answering():
            return _parse(_LIMITS, await self._send("PUT", "account/limits", json=dict(changes)))

    async def audit_log(self, since: str | None, until: str | None) -> AsyncIterator[str]:
        """Yield the account's audit log, a line of NDJSON for each record, oldest first."""
        between = {name: at for name, at in (("from", since), ("to", until)) if at is not None}
        with self._answering():
            async with self.http.stream("GET", self._path("audit-log"), params=between) as response:
                if response.is_error:
                    await response.aread()
                _check(response)
                async for line in response.aiter_lines():
                    yield line

    async def _get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        with self._answering():
            return await self._send("GET", path, params=params)

    async def _change(
        self,
        method: str,
        path: str,
        operation: str,
        wanted: Mapping[str, str | int] | None = None,
    ) -> OperationDetails:
        """Ask for a change; asked for again under the same operation id, it is made once."""
        named = {"operation_id": operation}
        try:
            if method == "DELETE":  # Which has no body.
                answer = await self._send(method, path, params=named)
            else:
                answer = await self._send(method, path, json={**(wanted or {}), **named})
        except httpx.ConnectError as error:
            raise ApiUnavailable(nothing_answers(str(self.http.base_url))) from error
        except (httpx.TransportError, ApiUnavailable) as error:
            raise CommandFailed(
                f"whether the request was accepted is not known: {error}. "
                f"Repeat it with --operation-id {operation}, and it is done once"
            ) from error
        return _parse(_OPERATION, answer)

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        response = await self.http.request(method, self._path(path), **request)
        _check(response)
        return response

    def _path(self, path: str) -> str:
        if not self.http.base_url.host:
            raise CommandFailed(
                "this needs the Fleet API, whose URL is not known: give --url with --address, "
                "or set CONTROLPLANE_URL"
            )
        return f"/fleet/v1/{path}"

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise ApiUnavailable(nothing_answers(str(self.http.base_url))) from error


@asynccontextmanager
async def open_fleet_api(connection: Connection) -> AsyncIterator[FleetApi]:
    """Open the connection's Fleet API."""
    async with httpx.AsyncClient(
        base_url=connection.url or "",
        headers={"authorization": f"Bearer {connection.api_key}"},
        verify=ssl.create_default_context(cafile=connection.ca_file),
        # The environment's proxy cannot reach an API on this machine.
        trust_env=connection.tls,
    ) as http:
        yield FleetApi(http)


def _namespace(namespace: str) -> str:
    return f"namespaces/{_segment(namespace)}"


def _segment(text: str) -> str:
    return quote(text, safe="")


def _parse(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        raise CommandFailed(
            f"{response.url} answers in words this version of controlplane does not know "
            f"({error.error_count()} of them): use the control plane's own version"
        ) from error


def _check(response: httpx.Response) -> None:
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise ApiUnavailable(_explain(response))
    if response.is_error:
        refusal = _explain(response)
        if says_nothing_to_change(refusal):
            raise NothingToChange(refusal)
        raise CommandFailed(refusal)


def _explain(response: httpx.Response) -> str:
    try:
        return _PROBLEM.validate_json(response.content).message
    except ValidationError:
        return f"{response.url} answered {response.status_code} {response.reason_phrase}"
