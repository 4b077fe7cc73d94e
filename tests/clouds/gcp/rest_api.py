"""A REST server of Google's APIs, as its discovery documents say: paths, parameters, bodies."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import googleapiclient.discovery_cache
from aiohttp import web

from tests.clouds.gcp.api_errors import ApiError
from tests.clouds.gcp.faulty import Caller, Front

Json = dict[str, Any]
_DOCUMENTS = Path(str(googleapiclient.discovery_cache.__file__)).parent / "documents"
_OLDER = ("compute", "dns", "sqladmin", "storage")
"""Their errors are written as they were before `google.rpc.Status`."""
_EVERYWHERE = {"alt", "prettyPrint", "fields", "key", "quotaUser", "$.xgafv", "$alt", "uploadType"}


@dataclass(frozen=True)
class Call:
    parameters: Mapping[str, str]
    """Of path and query."""
    lists: Mapping[str, list[str]]
    """Of the query, those that may come several times."""
    body: Json
    caller: Caller

    def __getitem__(self, name: str) -> str:
        return self.parameters[name]


Handler = Callable[[Call], Json]


@dataclass(frozen=True)
class _Route:
    call: str
    verb: str
    path: re.Pattern[str]
    method: Json
    schemas: Json
    is_older: bool


@dataclass
class RestApi:
    front: Front
    routes: list[_Route] = field(default_factory=list)
    handlers: dict[str, Handler] = field(default_factory=dict)

    def serve(self, document: str, handlers: Mapping[str, Handler]) -> None:
        """Answer these calls of one API, each under its id in the document."""
        content = json.loads((_DOCUMENTS / f"{document}.json").read_bytes())
        methods = {method["id"]: method for method in _methods(content)}
        for call, handler in handlers.items():
            method = methods[call]
            self.handlers[call] = handler
            self.routes.append(
                _Route(
                    call,
                    method["httpMethod"],
                    _path(content["servicePath"], method),
                    method,
                    content["schemas"],
                    document.partition(".")[0] in _OLDER,
                )
            )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        for route in self.routes:
            matched = route.path.fullmatch(request.path)
            if matched and route.verb == request.method:
                return await self._answer(route, matched.groupdict(), request)
        return web.Response(status=404, text=f"{request.method} {request.path} is not served")

    async def _answer(
        self, route: _Route, in_path: Mapping[str, str], request: web.Request
    ) -> web.StreamResponse:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        content = await request.read()
        lists = {key: request.query.getall(key) for key in request.query}
        try:
            body = json.loads(content) if content else {}
            _check_query(route, lists)
            if "request" in route.method:
                _check(route.method["request"], route.schemas, body, "body")
            parameters = {**{key: values[0] for key, values in lists.items()}, **in_path}
            handler = self.handlers[route.call]
            answer = await self.front.passed(
                route.call, token, lambda caller: handler(Call(parameters, lists, body, caller))
            )
            return web.json_response(answer)
        except ConnectionResetError:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        except ApiError as error:
            status, refusal = error.rest(older=route.is_older)
            return web.json_response(refusal, status=status)


def _methods(resource: Json) -> list[Json]:
    found = list(resource.get("methods", {}).values())
    for child in resource.get("resources", {}).values():
        found += _methods(child)
    return found


def _path(base: str, method: Json) -> re.Pattern[str]:
    def group(matched: re.Match[str]) -> str:
        name = matched[2]
        form = method["parameters"][name].get("pattern", "^[^/]+$")
        return f"(?P<{name}>{form.removeprefix('^').removesuffix('$')})"

    pattern = re.sub(r"\{(\+?)(\w+)\}", group, method["path"])
    return re.compile(f"/{re.escape(base)}{pattern}")


def _check_query(route: _Route, lists: Mapping[str, list[str]]) -> None:
    known = route.method.get("parameters", {})
    for name in lists:
        # In Python a parameter such as options.requestedPolicyVersion has an underscore.
        if name not in known and name not in _EVERYWHERE:
            raise ApiError(
                "INVALID_ARGUMENT",
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query '
                "parameter.",
            )


def _check(schema: Json, schemas: Json, value: Any, where: str) -> None:
    if "$ref" in schema:
        schema = schemas[schema["$ref"]]
    if schema.get("type") == "array":
        if not isinstance(value, list):
            raise ApiError("INVALID_ARGUMENT", f"Invalid value at '{where}': not a list")
        for index, each in enumerate(value):
            _check(schema["items"], schemas, each, f"{where}[{index}]")
    elif schema.get("type") == "object" and "properties" in schema:
        for key, each in value.items():
            if key not in schema["properties"]:
                raise ApiError(
                    "INVALID_ARGUMENT",
                    f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}': Cannot "
                    "find field.",
                )
            _check(schema["properties"][key], schemas, each, f"{where}.{key}")
    elif "enum" in schema and value not in schema["enum"]:
        raise ApiError("INVALID_ARGUMENT", f"Invalid value at '{where}': \"{value}\"")
    elif schema.get("type") == "string" and not isinstance(value, str):
        raise ApiError("INVALID_ARGUMENT", f"Invalid value at '{where}' (TYPE_STRING): {value}")
