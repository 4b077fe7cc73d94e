"""The OpenAPI document of the Cloud Ops API over HTTP, made from the service's descriptors."""

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from temporalio.api.dependencies.protoc_gen_openapiv2.options import annotations_pb2

from controlplane.api.calls import Rpc
from controlplane.api.http.requests import TEXTUAL
from controlplane.api.http.rules import HttpRule, http_rule
from controlplane.api.http.schemas import (
    Schema,
    component_schemas,
    field_schema,
    message_schema,
    referred_to,
)

_STATUS = "google.rpc.Status"
_STATUS_SCHEMA: Schema = {
    "type": "object",
    "description": "Why a request was not answered.",
    "properties": {
        "code": {"type": "integer", "description": "The number of the gRPC status code."},
        "message": {"type": "string", "description": "What was wrong, and what to do."},
        "details": {"type": "array", "items": {"$ref": "#/components/schemas/google.protobuf.Any"}},
    },
    "required": ["code", "message", "details"],
}
_API_KEY = "apiKey"
_VERSION_PARAMETER: Schema = {
    "name": "temporal-cloud-api-version",
    "in": "header",
    "description": "The version of the API that the client knows, v0.17.0 say; the latest without.",
    "required": False,
    "schema": {"type": "string", "pattern": r"^v[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$"},
}


def openapi_document(rpcs: Iterable[Rpc]) -> Schema:
    """Return the document (OpenAPI 3.1); RPCs without a handler are said to be so."""
    known = list(rpcs)
    paths: dict[str, dict[str, Schema]] = {}
    for rpc in known:
        rule = http_rule(rpc.method)
        paths.setdefault(_path(rule), {})[rule.verb.lower()] = _operation(rpc, rule)
    # Requests themselves stand where they are asked for: without the fields that the path sets.
    parts = (part for rpc in known for part in referred_to(rpc.method.input_type))
    whole = (rpc.method.output_type for rpc in known)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cloud Ops API",
            "version": "1",
            "description": "Namespaces, and who may use them. The same methods are served as gRPC.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                **component_schemas([*whole, *parts]),
                _STATUS: _STATUS_SCHEMA,
            },
            "securitySchemes": {
                _API_KEY: {"type": "http", "scheme": "bearer", "description": "An API key."}
            },
        },
        "security": [{_API_KEY: []}],
    }


def _path(rule: HttpRule) -> str:
    """Return the template without dots: OpenAPI has no two that differ in names alone."""
    path = rule.template
    for name in rule.variables:
        path = path.replace(f"{{{name}}}", f"{{{_last(name)}}}")
    return path


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _operation(rpc: Rpc, rule: HttpRule) -> Schema:
    method = rpc.method
    said = method.GetOptions().Extensions[annotations_pb2.openapiv2_operation]
    operation: Schema = {
        "operationId": method.name,
        "summary": said.summary or method.name,
        "tags": list(said.tags),
        "parameters": [_VERSION_PARAMETER, *_parameters(method.input_type, rule)],
        "responses": _responses(rpc),
    }
    if said.description:
        operation["description"] = said.description
    if method.GetOptions().deprecated:
        operation["deprecated"] = True
    if rule.has_body:
        schema = message_schema(method.input_type, without=rule.variables)
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return operation


def _responses(rpc: Rpc) -> Schema:
    refused = _answer("Refused: see the status code and the message.", _STATUS)
    if rpc.handler is None:
        return {
            "501": _answer("Not implemented by this control plane.", _STATUS),
            "default": refused,
        }
    return {"200": _answer("Done.", rpc.method.output_type.full_name), "default": refused}


def _answer(description: str, schema: str) -> Schema:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _parameters(request: Descriptor, rule: HttpRule) -> Iterator[Schema]:
    for name in rule.variables:
        yield {
            "name": _last(name),
            "in": "path",
            "required": True,
            "schema": {**field_schema(_field(request, name)), "minLength": 1},
        }
    if not rule.has_body:
        yield from _query_parameters(request, rule.variables)


def _query_parameters(
    message: Descriptor, without: Iterable[str] = (), prefix: str = ""
) -> Iterator[Schema]:
    for field in message.fields:
        nested = field.message_type
        if field.name in without:
            continue
        if nested is None or nested.full_name in TEXTUAL:
            yield {
                "name": prefix + field.json_name,
                "in": "query",
                "required": False,
                "schema": field_schema(field),
            }
        elif not field.is_repeated:
            yield from _query_parameters(nested, prefix=f"{prefix}{field.json_name}.")


def _field(message: Descriptor, path: str) -> FieldDescriptor:
    name, _, rest = path.partition(".")
    field = message.fields_by_name[name]
    return _field(field.message_type, rest) if rest and field.message_type else field
