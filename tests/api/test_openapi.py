import re
from collections.abc import Iterator

import httpx
import jsonschema_rs
import pytest
from google.protobuf.json_format import MessageToDict
from openapi_spec_validator import validate
from pydantic import JsonValue

from controlplane.api.calls import SERVICE
from controlplane.api.http.rules import http_rule
from tests.api.running import RunningApi, Tenant, create_request

DOCUMENT = "/cloud/openapi.json"
JSON_SCHEMA = ("content", "application/json", "schema")


async def document(api: RunningApi, path: str = DOCUMENT) -> JsonValue:
    async with httpx.AsyncClient(trust_env=False) as http:
        served = await http.get(f"http://127.0.0.1:{api.ports.http}{path}")
    assert served.status_code == 200
    described: JsonValue = served.json()
    return described


def at(part: JsonValue, *path: str) -> JsonValue:
    """Return what a JSON value holds at a path."""
    for name in path:
        assert isinstance(part, dict), path
        part = part[name]
    return part


def references(part: JsonValue) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "$ref" and isinstance(inner, str):
                yield inner
            else:
                yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


@pytest.mark.parametrize("path", [DOCUMENT, "/openapi.json"])
async def test_the_documents_are_valid_and_refer_to_nothing_that_is_not_there(
    api: RunningApi, path: str
) -> None:
    described = await document(api, path)

    assert isinstance(described, dict)
    validate(described)
    schemas = at(described, "components", "schemas")
    assert isinstance(schemas, dict)
    assert set(references(described)) <= {f"#/components/schemas/{name}" for name in schemas}


async def test_every_method_is_described_with_its_parameters_and_answers(api: RunningApi) -> None:
    paths = at(await document(api), "paths")

    # No two templates differ in the names of their variables alone.
    assert isinstance(paths, dict)
    assert len({re.sub("{.*?}", "{}", path) for path in paths}) == len(paths)
    for method in SERVICE.methods:
        rule = http_rule(method)
        described = at(paths, rule.template.replace("{spec.", "{"), rule.verb.lower())
        assert isinstance(described, dict)
        assert described["operationId"] == method.name
        assert described["summary"]
        parameters = described["parameters"]
        assert isinstance(parameters, list)
        named = {str(at(parameter, "name")) for parameter in parameters}
        assert named >= {name.removeprefix("spec.") for name in rule.variables}
        if rule.has_body:
            assert "requestBody" in described
        else:
            fields = [f for f in method.input_type.fields if f.name not in rule.variables]
            described_fields = {name.partition(".")[0] for name in named}
            assert described_fields >= {field.json_name for field in fields}
        answers = described["responses"]
        assert isinstance(answers, dict)
        assert "default" in answers
        assert "200" in answers or "501" in answers


async def test_requests_and_answers_are_as_described(api: RunningApi, tenant: Tenant) -> None:
    described = await document(api)
    schemas = at(described, "components", "schemas")

    def check(value: JsonValue, *schema: str) -> None:
        whole = {"components": {"schemas": schemas}, "allOf": [at(described, *schema)]}
        jsonschema_rs.validator_for(whole).validate(value)

    asked = MessageToDict(create_request("orders"))
    check(asked, "paths", "/cloud/namespaces", "post", "requestBody", *JSON_SCHEMA)
    async with tenant.http() as http:
        created = (await http.post("/cloud/namespaces", json=asked)).json()
        await api.settle(created["namespace"])
        for template, path in (
            ("/cloud/namespaces/{namespace}", f"/cloud/namespaces/{created['namespace']}"),
            ("/cloud/namespaces", "/cloud/namespaces"),
            (
                "/cloud/operations/{async_operation_id}",
                f"/cloud/operations/{created['asyncOperation']['id']}",
            ),
            ("/cloud/current-identity", "/cloud/current-identity"),
        ):
            answer = (await http.get(path)).json()
            assert answer
            check(answer, "paths", template, "get", "responses", "200", *JSON_SCHEMA)
