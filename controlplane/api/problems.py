"""Refusals as HTTP answers: one JSON shape for every path of the server."""

from dataclasses import asdict

import grpc
import psycopg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from temporalio.exceptions import ApplicationError

from controlplane.api.fleet_types import Problem
from controlplane.api.refusals import HTTP_STATUS, Refusal, refusal_of
from controlplane.identity.types import Unauthenticated


def answer_with_problems(app: FastAPI) -> None:
    """Make whatever the application's paths raise, and its router refuses, a Problem."""
    for expected in (ApplicationError, Unauthenticated, psycopg.OperationalError, Exception):
        app.add_exception_handler(expected, _refuse)
    app.add_exception_handler(HTTPException, _refuse_path)


def problem(refusal: Refusal) -> JSONResponse:
    return _problem(HTTP_STATUS[refusal.code], refusal)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    return problem(refusal_of(error))


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
    unknown = refusal.code is grpc.StatusCode.UNAUTHENTICATED
    return JSONResponse(
        asdict(Problem(number, refusal.code.name, refusal.message)),
        status,
        {"www-authenticate": "Bearer"} if unknown else None,
    )
