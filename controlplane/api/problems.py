"""Refusals as HTTP answers: one JSON shape for every path of the server."""

from dataclasses import asdict

import grpc
import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from temporalio.exceptions import ApplicationError

from controlplane.api.fleet_types import Problem
from controlplane.api.refusals import HTTP_STATUS, Refusal, Refused, refusal_of
from controlplane.identity.types import PermissionDenied, Unauthenticated


def answer_with_problems(app: FastAPI) -> None:
    """Make whatever the application's paths raise, and its router refuses, a Problem."""
    for expected in (
        ApplicationError,
        Unauthenticated,
        PermissionDenied,
        Refused,
        psycopg.OperationalError,
        Exception,
    ):
        app.add_exception_handler(expected, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_request)
    app.add_exception_handler(HTTPException, _refuse_path)


def problem(refusal: Refusal) -> JSONResponse:
    return _problem(HTTP_STATUS[refusal.code], refusal)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    return problem(refusal_of(error))


async def _refuse_request(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    wrong = "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
    )
    return problem(Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"{wrong}; see /openapi.json"))


async def _refuse_path(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    code = {404: grpc.StatusCode.NOT_FOUND, 405: grpc.StatusCode.UNIMPLEMENTED}.get(
        error.status_code, grpc.StatusCode.INVALID_ARGUMENT
    )
    what = f"{request.method} {request.url.path}"
    return _problem(error.status_code, Refusal(code, f"{what}: {error.detail}; see /openapi.json"))


def _problem(status: int, refusal: Refusal) -> JSONResponse:
    number, _ = refusal.code.value
    return JSONResponse(
        asdict(Problem(number, refusal.code.name, refusal.message)), status, refusal.http_headers
    )
