"""The Fleet API's HTTP: requests, and answers in the types they are of."""

import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from controlplane.cli.connection import Connection, nothing_answers
from controlplane.cli.failures import (
    CommandFailed,
    NothingToChange,
    says_nothing_to_change,
)

T = TypeVar("T")

ANSWERS_WITHIN_SECONDS = 30.0
"""Longer than the API waits for the engine."""
_CONNECTS_WITHIN_SECONDS = 5.0


class ApiUnavailable(CommandFailed):
    """The API does not answer now; it may in a moment."""


class NotFound(CommandFailed):
    """There is no such thing."""


@dataclass(frozen=True)
class FleetHttp:
    """Paths are below `/fleet/v1`; refusals are raised as CommandFailed."""

    http: httpx.AsyncClient

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        with self._answering():
            return await self._send("GET", path, params=params)

    async def put(self, path: str, body: object) -> httpx.Response:
        """Send what may be sent again: it is then as it was to be."""
        with self._answering():
            return await self._send("PUT", path, json=body)

    async def ask(
        self, path: str, body: object, within_seconds: float = ANSWERS_WITHIN_SECONDS
    ) -> httpx.Response:
        """Post a question, which changes nothing."""
        with self._answering():
            return await self._send("POST", path, json=body, timeout=_timeout(within_seconds))

    async def change(
        self, method: str, path: str, *, how_to_repeat: str, **request: Any
    ) -> httpx.Response:
        """Ask for a change.

        If no answer comes, say that it may have been accepted, and how it is asked for again.
        """
        try:
            return await self._send(method, path, **request)
        except httpx.ConnectError as error:
            raise ApiUnavailable(self._explain_silence(error)) from error
        except (httpx.TransportError, ApiUnavailable) as error:
            raise CommandFailed(
                f"whether the request was accepted is not known: {error}. {how_to_repeat}"
            ) from error

    async def lines(self, path: str, params: Mapping[str, str]) -> AsyncIterator[str]:
        """Yield the answer line by line, as it comes."""
        with self._answering():
            async with self.http.stream("GET", self._path(path), params=params) as response:
                if response.is_error:
                    await response.aread()
                _check(response)
                async for line in response.aiter_lines():
                    yield line

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
            raise ApiUnavailable(self._explain_silence(error)) from error

    def _explain_silence(self, error: httpx.TransportError) -> str:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return (
                f"{self.http.base_url} shows a certificate that is not to be trusted ({error}): "
                "set CONTROLPLANE_CA_FILE to the file of its CA"
            )
        return nothing_answers(str(self.http.base_url))


@asynccontextmanager
async def open_fleet_http(connection: Connection) -> AsyncIterator[FleetHttp]:
    """Open the connection's Fleet API."""
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
    except OSError as error:
        raise CommandFailed(
            f"cannot read the CA file {connection.ca_file} (CONTROLPLANE_CA_FILE): {error.strerror}"
        ) from error
    async with httpx.AsyncClient(
        base_url=connection.url or "",
        headers={"authorization": f"Bearer {connection.api_key}"},
        verify=context,
        # The environment's proxy cannot reach an API on this machine.
        trust_env=connection.tls,
        timeout=_timeout(ANSWERS_WITHIN_SECONDS),
    ) as http:
        yield FleetHttp(http)


def segment(text: str) -> str:
    """Return a name as one part of a path."""
    return quote(text, safe="")


def parse(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    """Return the answer; raise CommandFailed if it is in words that are not known here."""
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        raise CommandFailed(
            f"{response.url} answers in words this version of controlplane does not know "
            f"({error.error_count()} of them): use the control plane's own version"
        ) from error


def _timeout(within_seconds: float) -> httpx.Timeout:
    return httpx.Timeout(within_seconds, connect=_CONNECTS_WITHIN_SECONDS)


def _check(response: httpx.Response) -> None:
    if not response.is_error:
        return
    refusal = _explain(response)
    match response.status_code:
        case httpx.codes.SERVICE_UNAVAILABLE:
            raise ApiUnavailable(refusal)
        case httpx.codes.UNAUTHORIZED:
            raise CommandFailed(
                f"{response.url.host} does not accept this API key ({refusal}). "
                'A key of the embedded fleet comes with `eval "$(controlplane env)"`.'
            )
        case httpx.codes.FORBIDDEN:
            raise CommandFailed(f"this API key may not do that: {refusal}")
        case httpx.codes.NOT_FOUND:
            raise NotFound(refusal)
        case _ if says_nothing_to_change(refusal):
            raise NothingToChange(refusal)
        case _:
            raise CommandFailed(refusal)


def _explain(response: httpx.Response) -> str:
    """Return the message of the API's Problem."""
    try:
        told = json.loads(response.content)
        if isinstance(told, dict) and isinstance(told.get("message"), str):
            return str(told["message"])
    except ValueError:
        pass
    return f"{response.url} answered {response.status_code} {response.reason_phrase}"
