"""The Cloud Ops API over HTTP and JSON, routed as the service's own annotations say.

The conventions are those of grpc-gateway: lowerCamelCase, defaults left out, path variables over
the body, query parameters bound to fields, also nested ones (`a.b=`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from starlette.routing import Route

from controlplane.api.authentication import bearer_token
from controlplane.api.calls import Rpc
from controlplane.api.problems import problem
from controlplane.api.refusals import Refusal
from controlplane.errors import invalid_argument
from controlplane.identity.keys import ApiKeys

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes."""

_VARIABLE = re.compile(r"{[^}]+}")
_DOT = "__"


def gateway_routes(rpcs: Mapping[str, Rpc], keys: ApiKeys) -> list[Route]:
    """Return a route per RPC; those without a handler answer that they are not implemented."""
    return [_route(rpc, keys) for rpc in rpcs.values()]


def _route(rpc: Rpc, keys: ApiKeys) -> Route:
    rule = rpc.method.GetOptions().Extensions[annotations_pb2.http]  # type: ignore[index, var-annotated]  # Ships no types.
    verb: str = rule.WhichOneof("pattern")
    # The router's names cannot hold the dot of a nested field.
    path = _VARIABLE.sub(lambda found: found[0].replace(".", _DOT), getattr(rule, verb))

    async def answer(request: Request) -> Response:
        caller = await keys.verify(bearer_token(request.headers.get("authorization")))
        message = await _read(request, rpc, has_body=bool(rule.body))
        answer = await rpc.answer(caller, message)
        if isinstance(answer, Refusal):
            return problem(answer)
        return JSONResponse(MessageToDict(answer))

    return Route(path, answer, methods=[verb.upper()], include_in_schema=False)


async def _read(request: Request, rpc: Rpc, *, has_body: bool) -> Message:
    kind = rpc.method.input_type
    fields = await _body(request) if has_body else {}
    if not has_body:
        for path, values in parse_qs(request.url.query, keep_blank_values=True).items():
            _bind(fields, kind, path, values)
    for path, value in request.path_params.items():
        _bind(fields, kind, path.replace(_DOT, "."), [value])
    try:
        return ParseDict(fields, rpc.request_class(), ignore_unknown_fields=True)
    except ParseError as error:
        raise invalid_argument(f"the request is not a {kind.name}: {error}") from None


async def _body(request: Request) -> dict[str, object]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise invalid_argument(f"the body is longer than {LARGEST_BODY} bytes")
    try:
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise invalid_argument("the body is not a JSON object")
    return fields


def _bind(fields: dict[str, object], message: Descriptor, path: str, values: Sequence[str]) -> None:
    """Set the field that a parameter names, over whatever the body says of it."""
    name, _, rest = path.partition(".")
    field = next((f for f in message.fields if name in (f.name, f.json_name)), None)
    nested = None if field is None else field.message_type
    if field is None or (nested is None) == bool(rest) or (nested and field.is_repeated):
        raise invalid_argument(f"{message.name} has no field {path!r} that a parameter could set")
    said = fields.pop(field.name, fields.pop(field.json_name, None))
    if nested is not None:
        inner = said if isinstance(said, dict) else {}
        _bind(inner, nested, rest, values)
        fields[field.json_name] = inner
    elif field.is_repeated:
        fields[field.json_name] = [_scalar(field, value) for value in values]
    else:
        fields[field.json_name] = _scalar(field, values[-1])


def _scalar(field: FieldDescriptor, value: str) -> str | bool:
    """Return the value as protobuf's JSON has it, which reads everything but booleans from text."""
    if field.type == FieldDescriptor.TYPE_BOOL and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value
