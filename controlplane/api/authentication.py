"""Who is calling: every method needs a valid API key, but for those listed here."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import grpc

from controlplane.api.refusals import Refusal, refusal_of
from controlplane.identity.keys import ApiKeys
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


@dataclass(frozen=True)
class Authentication(grpc.aio.ServerInterceptor):
    """Stands before every gRPC method of the server, whichever service it belongs to."""

    keys: ApiKeys

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
            try:
                CALLER.set(await self.keys.verify(bearer_token(metadata.get("authorization"))))
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody gets in
                return _refusing(refusal_of(error))
        return await continuation(handler_call_details)


def bearer_token(header: str | bytes | None) -> str:
    """Return the token of an `authorization` header; raise Unauthenticated if it has none."""
    text = header.decode(errors="replace") if isinstance(header, bytes) else header or ""
    scheme, _, token = text.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    return token.strip()


def _refusing(refusal: Refusal) -> "grpc.RpcMethodHandler[Request, Response]":
    async def refuse(_: Request, context: grpc.aio.ServicerContext[Request, Response]) -> Response:
        await context.abort(refusal.code, refusal.message)

    return grpc.unary_unary_rpc_method_handler(refuse)
