"""Calls to Google's APIs, REST and gRPC, as one identity.

No call is tried again here. Google's own libraries do so in two cases: reads over gRPC that found
the API unavailable, and REST calls whose connection ended without an answer, writing ones as well.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import httplib2
from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
from googleapiclient.errors import HttpError

from controlplane.gcp.errors import Refused, Status
from controlplane.gcp.identity import Identity, Token
from controlplane.gcp.refusals import from_grpc, from_http

TIMEOUT_SECONDS = 60.0
"""Of one call."""

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)
Page = TypeVar("Page", bound=Mapping[str, object])
Metadata = Sequence[tuple[str, str | bytes]]


class Request(Protocol[Answer_co]):
    """A call that a discovered client has put together."""

    uri: str
    methodId: str | None
    headers: Any  # A dict; the library's types say that it may be None, which it never is.

    def execute(self, http: httplib2.Http | None = None) -> Answer_co: ...


@dataclass(frozen=True)
class Google:
    """Google's APIs, called as one identity."""

    identity: Identity
    rest_endpoint: str = ""
    """Where REST APIs are asked instead of at Google's own addresses: `http(s)://host:port`."""

    async def ask(self, request: Callable[[], Request[Answer]]) -> Answer:
        """Return the answer of a REST API; raise Refused, or ConnectionError when there is none.

        The call is put together in a thread, too: the first of an API reads what it looks like.
        """
        token = await self.identity.token()
        return await asyncio.to_thread(self._ask, request, token)

    async def pages(self, request: Callable[[str | None], Request[Page]]) -> AsyncIterator[Page]:
        """Return all pages of a list, whose request is given the token of the page to ask for."""
        token: str | None = None
        while True:
            page = await self.ask(partial(request, token))
            yield page
            following = page.get("nextPageToken")
            if not following:
                return
            token = str(following)

    async def ask_grpc(self, call: str, method: Callable[[Metadata], Awaitable[Answer]]) -> Answer:
        """Return the answer of a gRPC API, whose method is given the metadata to send."""
        token = await self.identity.token()
        try:
            return await method((("authorization", f"Bearer {token.value}"),))
        except GoogleAPICallError as error:
            raise self._refused(
                Refused(from_grpc(call, error), self.identity.name), token
            ) from None
        except GoogleAPIError as error:
            raise ConnectionError(f"{call} got no answer from GCP: {error}") from error

    def _ask(self, request: Callable[[], Request[Answer]], token: Token) -> Answer:
        made = request()
        call = made.methodId or made.uri
        made.headers["authorization"] = f"Bearer {token.value}"
        if self.rest_endpoint:
            parts = urlsplit(made.uri)
            query = f"?{parts.query}" if parts.query else ""
            made.uri = f"{self.rest_endpoint}{parts.path}{query}"
        # One per call: it is not safe to share between threads.
        http = httplib2.Http(timeout=TIMEOUT_SECONDS)
        try:
            return made.execute(http=http)
        except HttpError as error:
            raise self._refused(
                Refused(from_http(call, error), self.identity.name), token
            ) from None
        except (httplib2.HttpLib2Error, OSError) as error:
            raise ConnectionError(f"{call} got no answer from GCP: {error!r}") from error
        finally:
            http.close()

    def _refused(self, refused: Refused, token: Token) -> Refused:
        if refused.status is Status.UNAUTHENTICATED:
            self.identity.forget(token)
        return refused
