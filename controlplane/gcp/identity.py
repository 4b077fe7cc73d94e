"""As whom Google's APIs are called: ourselves, or a service account that we become."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import google.auth
import google.auth.transport.requests
import requests
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from controlplane.errors import rejected

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME = timedelta(hours=1)
"""The longest that Google gives a service account's token, where no policy allows more."""
REMAINING = timedelta(minutes=15)
"""How long a token that is handed out is good at least."""


@dataclass(frozen=True)
class Token:
    value: str = field(repr=False)
    expires_at: datetime


class Identity(Protocol):
    """Somebody whom Google knows."""

    @property
    def name(self) -> str:
        """Whom to grant what is missing."""
        ...

    async def token(self, good_for: timedelta = REMAINING) -> Token:
        """Return a bearer token that is good for that long at least, where Google gives such."""
        ...

    def forget(self, token: Token) -> None:
        """Do not hand this token out again: Google does not take it any more."""
        ...


class Minted:
    """An identity whose tokens somebody mints, kept for as long as they are good."""

    def __init__(self, name: str, mint: Callable[[], Awaitable[Token]]) -> None:
        self._name = name
        self._mint = mint
        self._kept: Token | None = None
        self._minting = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._name

    async def token(self, good_for: timedelta = REMAINING) -> Token:
        async with self._minting:
            if self._kept is None or self._kept.expires_at - datetime.now(UTC) < good_for:
                self._kept = await self._mint()
            return self._kept

    def forget(self, token: Token) -> None:
        if self._kept == token:
            self._kept = None


def ourselves(name: str) -> Identity:
    """Return whom Google's application default credentials say we are.

    A service account that is attached to the machine or the pod, workload identity federation, or
    what GOOGLE_APPLICATION_CREDENTIALS names. `name` is how Google calls it.
    """

    async def mint() -> Token:
        return await asyncio.to_thread(_own_token)

    return Minted(name, mint)


def _own_token() -> Token:
    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
        with requests.Session() as session:
            request = google.auth.transport.requests.Request(session)
            credentials.refresh(request)  # type: ignore[no-untyped-call]  # Has no types.
    except TransportError as error:
        raise ConnectionError(f"Google's tokens cannot be had now: {error}") from error
    except RefreshError as error:
        if error.retryable:
            raise ConnectionError(f"Google's tokens cannot be had now: {error}") from error
        raise rejected(
            f"Google does not take the control plane's credentials: {error}: attach a service "
            "account, or have GOOGLE_APPLICATION_CREDENTIALS name a file that is still good"
        ) from error
    except DefaultCredentialsError as error:
        raise rejected(
            f"the control plane has no credentials for GCP: {error}: attach a service account, or "
            "have GOOGLE_APPLICATION_CREDENTIALS name a file of credentials"
        ) from error
    # Google's library notes times in UTC without saying so.
    expiry: datetime | None = credentials.expiry
    until = expiry.replace(tzinfo=UTC) if expiry else datetime.now(UTC) + LIFETIME
    return Token(str(credentials.token), until)
