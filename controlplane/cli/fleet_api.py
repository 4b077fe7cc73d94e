"""The Fleet API over HTTP: what the Cloud Ops API has no words for, steps and reasons."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from cells.types import CellView
from controlplane.api.fleet_types import NamespaceDetails, OperationDetails, Problem
from controlplane.cli.connection import Connection, nothing_answers
from controlplane.cli.failures import CommandFailed

T = TypeVar("T")

_OPERATION = TypeAdapter(OperationDetails)
_NAMESPACE = TypeAdapter(NamespaceDetails)
_CELLS = TypeAdapter(list[CellView])
_PROBLEM = TypeAdapter(Problem)


class ApiUnavailable(CommandFailed):
    """The API does not answer now; it may in a moment."""


@dataclass(frozen=True)
class FleetApi:
    """The answers in the words of `fleet_types`; refusals are raised as CommandFailed."""

    http: httpx.AsyncClient

    async def operation(self, operation: str) -> OperationDetails:
        return _parse(_OPERATION, await self._get(f"operations/{quote(operation, safe='')}"))

    async def namespace(self, namespace: str) -> NamespaceDetails:
        return _parse(_NAMESPACE, await self._get(f"namespaces/{quote(namespace, safe='')}"))

    async def cells(self) -> list[CellView]:
        return _parse(_CELLS, await self._get("cells"))

    async def _get(self, path: str) -> httpx.Response:
        if not self.http.base_url.host:
            raise CommandFailed(
                "this needs the Fleet API, whose URL is not known: give --url with --address, "
                "or set CONTROLPLANE_URL"
            )
        try:
            response = await self.http.get(f"/fleet/v1/{path}")
        except httpx.TransportError as error:
            raise ApiUnavailable(nothing_answers(str(self.http.base_url))) from error
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise ApiUnavailable(_explain(response))
        if response.is_error:
            raise CommandFailed(_explain(response))
        return response


def details_as_json(details: NamespaceDetails) -> str:
    """Return the details in the Fleet API's own words."""
    return _NAMESPACE.dump_json(details, indent=2).decode()


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


def _parse(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        raise CommandFailed(
            f"{response.url} answers in words this version of controlplane does not know "
            f"({error.error_count()} of them): use the control plane's own version"
        ) from error


def _explain(response: httpx.Response) -> str:
    try:
        return _PROBLEM.validate_json(response.content).message
    except ValidationError:
        return f"{response.url} answered {response.status_code} {response.reason_phrase}"
