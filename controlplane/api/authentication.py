"""Who is calling: every method needs a valid API key, but for those listed here."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc

from controlplane.api.refusals import Refusal, refusal_of
from controlplane.identity.types import Principal, Unauthenticated

OPEN_METHODS = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        # SDK clients ask this when they connect, and give up when it is refused.
        "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo",
    }
)

Request = TypeVar("Request")
Response = TypeVar("Response")

CALLER: ContextVar[Principal] = ContextVar("caller")
"""Whom the call being served speaks for; unset in the methods open to all."""

API_VERSION_HEADER = "temporal-cloud-api-version"
API_VERSION: ContextVar[str] = ContextVar("api_version", default="")
"""What the caller said of itself in `temporal-cloud-api-version`, as it said it; "" for nothing."""

FORWARDED_FOR_HEADER = "x-forwarded-for"
FORWARDED_FOR: ContextVar[str] = ContextVar("forwarded_for", default="")
"""What `x-forwarded-for` says of the way that the call came, as it says it: nothing proves it."""


class Verifier(Protocol):
    async def verify(self, token: str) -> Principal:
        """Return whom the token speaks for; raise Unauthenticated unless it counts right now."""
        ...


@dataclass(frozen=True)
class Authentication(grpc.aio.ServerInterceptor):
    """Stands before every gRPC method of the server, whichever service it belongs to."""

    keys: Verifier

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails],
            "Awaitable[grpc.RpcMethodHandler[Request, Response] | None]",
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Request, Response] | None":
        if handler_call_details.method not in OPEN_METHODS:
            metadata = dict(handler_call_details.invocation_metadata)
            API_VERSION.set(_text(metadata.get(API_VERSION_HEADER)))
            FORWARDED_FOR.set(_text(metadata.get(FORWARDED_FOR_HEADER)))
            try:
                CALLER.set(await self.keys.verify(bearer_token(metadata.get("authorization"))))
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody gets in
                return _refusing(refusal_of(error))
        return await continuation(handler_call_details)


def bearer_token(header: str | bytes | None) -> str:
    """Return the token of an `authorization` header; raise Unauthenticated if it has none."""
    scheme, _, token = _text(header).partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    return token.strip()


def _text(header: str | bytes | None) -> str:
    return header.decode(errors="replace") if isinstance(header, bytes) else header or ""


def _refusing(refusal: Refusal) -> "grpc.RpcMethodHandler[Request, Response]":
    async def refuse(_: Request, context: grpc.aio.ServicerContext[Request, Response]) -> Response:
        await context.abort(refusal.code, refusal.message)

    return grpc.unary_unary_rpc_method_handler(refuse)
