"""The Cloud Ops API over HTTP and JSON, routed as the service's own annotations say.

The conventions are those of grpc-gateway: lowerCamelCase, defaults left out, path variables over
the body, and errors as `google.rpc.Status`, also for paths and verbs that lead nowhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import grpc
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from controlplane.api.authentication import (
    API_VERSION,
    API_VERSION_HEADER,
    CALLER,
    FORWARDED_FOR,
    FORWARDED_FOR_HEADER,
    Verifier,
    bearer_token,
)
from controlplane.api.calls import Rpc
from controlplane.api.http.openapi import openapi_document
from controlplane.api.http.requests import fields_of_body, fields_of_query, request_of
from controlplane.api.http.rules import HttpRule, Routes, http_rule
from controlplane.api.refusals import HTTP_STATUS, Refusal, refusal_of
from controlplane.api.versions import json_version

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes."""

_CLIENT_CLOSED_REQUEST = 499
"""Nobody reads it; so does grpc-gateway call it."""


def gateway_routes(rpcs: Mapping[str, Rpc], keys: Verifier) -> list[BaseRoute]:
    """Return what serves `/cloud` and everything below it; `/cloud/openapi.json` describes it."""
    document = openapi_document(rpcs.values())

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    routes = Routes((http_rule(rpc.method), rpc) for rpc in rpcs.values())
    return [Route("/cloud/openapi.json", openapi), Gateway(routes, keys)]


@dataclass(frozen=True)
class Gateway(BaseRoute):
    """Serves every RPC; those without a handler answer that they are not implemented."""

    routes: Routes[Rpc]
    keys: Verifier

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the path is ours. A pattern of the router's would leave out some."""
        ours = scope["type"] == "http" and f"{scope['path']}/".startswith("/cloud/")
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path: str = request.scope["path"]
        found = self.routes.find(path)
        if found is None:
            return _refused(Refusal(grpc.StatusCode.NOT_FOUND, _routing_error(request, "")))
        allowed = _allowed(found.by_verb)
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"allow": allowed})
        # The server leaves the body of an answer to HEAD out.
        verb = "GET" if request.method == "HEAD" else request.method
        if verb not in found.by_verb:
            # As grpc-gateway words it: a verb that leads nowhere is a method that does not exist.
            hint = f": use {allowed}"
            unimplemented = Refusal(grpc.StatusCode.UNIMPLEMENTED, _routing_error(request, hint))
            return _refused(unimplemented, {"allow": allowed})
        rule, rpc = found.by_verb[verb]
        try:
            return await self._call(request, rule, rpc, found.values)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        except _BodyTooLong:
            too_long = f"the body is longer than {LARGEST_BODY} bytes"
            # Nobody reads the rest of it.
            hang_up = {"connection": "close"}
            return _refused(Refusal(grpc.StatusCode.INVALID_ARGUMENT, too_long), hang_up)
        except Exception as error:  # noqa: BLE001 - each kind has its status code
            return _refused(refusal_of(error))

    async def _call(
        self, request: Request, rule: HttpRule, rpc: Rpc, values: Sequence[str]
    ) -> Response:
        API_VERSION.set(json_version(request.headers.get(API_VERSION_HEADER, "")))
        FORWARDED_FOR.set(request.headers.get(FORWARDED_FOR_HEADER, ""))
        caller = await self.keys.verify(bearer_token(request.headers.get("authorization")))
        CALLER.set(caller)
        kind = rpc.method.input_type
        fields = (
            fields_of_body(await _body(request))
            if rule.has_body
            else fields_of_query(kind, request.url.query)
        )
        asked = request_of(kind, fields, zip(rule.variables, values, strict=True))
        answer = await rpc.answer(caller, asked)
        if isinstance(answer, Refusal):
            return _refused(answer)
        return JSONResponse(MessageToDict(answer))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise _BodyTooLong
    return bytes(body)


class _BodyTooLong(Exception):
    pass


def _refused(refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    """Return the refusal as `google.rpc.Status`."""
    number, _ = refusal.code.value
    status = Status(code=number, message=refusal.message)
    for detail in refusal.details:
        status.details.add().Pack(detail)
    # With all its fields, as grpc-gateway writes it.
    return JSONResponse(
        MessageToDict(status, always_print_fields_with_no_presence=True),
        HTTP_STATUS[refusal.code],
        {**refusal.http_headers, **(headers or {})},
    )


def _allowed(by_verb: Mapping[str, object]) -> str:
    return ", ".join(sorted({*by_verb, "OPTIONS"} | ({"HEAD"} if "GET" in by_verb else set())))


def _routing_error(request: Request, hint: str) -> str:
    what = f"{request.method} {request.scope['path'][:200]}"
    return f"{what} is no method of this API{hint}; see /cloud/openapi.json"
