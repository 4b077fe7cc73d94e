"""What the OpenAPI documents say is asked of the served API, and its opposite; nothing breaks."""

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any, TypeAlias

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.running import RunningApi, Tenant, create_request

CASES = 4
"""Of each kind, per operation that there is: together some 400."""
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]

# The document's paths, parameters and answers have no types of their own.
Operation: TypeAlias = "APIOperation[Any, Any, Any, Any]"

load_all_checks()


@pytest.mark.parametrize("path", ["/cloud/openapi.json", "/openapi.json"])
async def test_nothing_asked_by_the_document_or_against_it_breaks_the_api(
    api: RunningApi, operator: Tenant, path: str
) -> None:
    await operator.create("orders")
    await asyncio.to_thread(_ask_everything, f"http://127.0.0.1:{api.ports.http}{path}", operator)

    # It still answers.
    await operator.cloud.cloud_service.create_namespace(create_request("after"))


def _ask_everything(url: str, tenant: Tenant) -> None:
    schema = schemathesis.openapi.from_url(url)
    with requests.Session() as session:
        session.trust_env = False
        session.headers["authorization"] = f"Bearer {tenant.token}"
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            missing = "501" in operation.definition.raw["responses"]
            for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
                _ask(session, operation, mode, 1 if missing else CASES, missing=missing)


def _ask(
    session: requests.Session,
    operation: Operation,
    mode: GenerationMode,
    cases: int,
    *,
    missing: bool,
) -> None:
    @seed(20260102)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Operation]) -> None:
        response = case.call(session=session)
        if not missing or response.status_code != HTTPStatus.NOT_IMPLEMENTED:
            assert response.status_code < 500, (case.as_curl_command(), response.text)
        case.validate_response(response, checks=CHECKS)

    # An operation may have nothing that could be said wrongly.
    with contextlib.suppress(Unsatisfiable):
        ask()
