"""Who is calling over HTTP, for FastAPI's paths."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from controlplane.api.authentication import FORWARDED_FOR, FORWARDED_FOR_HEADER, Verifier
from controlplane.identity.types import Principal, Unauthenticated

_bearer = HTTPBearer(auto_error=False, description="An API key, as for the Cloud Ops API.")


def http_caller(keys: Verifier) -> Callable[..., Awaitable[Principal]]:
    """Return the dependency that is the caller, or refuses whoever has no valid API key."""

    async def caller(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        FORWARDED_FOR.set(request.headers.get(FORWARDED_FOR_HEADER, ""))
        if credentials is None:
            raise Unauthenticated
        return await keys.verify(credentials.credentials)

    return caller
