"""The Fleet API: HTTP and JSON, for operators and for whatever explains what is going on.

Its keys and what they see are those of the Cloud Ops API.
"""

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cells.types import CellView
from controlplane.api.endpoints import Endpoints
from controlplane.api.fleet_types import (
    NamespaceDetails,
    OperationDetails,
    Problem,
    namespace_details,
    operation_details,
)
from controlplane.api.problems import answer_with_problems
from controlplane.errors import not_found
from controlplane.identity.keys import ApiKeys
from controlplane.identity.types import Principal, Unauthenticated
from controlplane.store.queries import ReadModel

_bearer = HTTPBearer(auto_error=False, description="An API key, as for the Cloud Ops API.")


def fleet_app(keys: ApiKeys, reads: ReadModel, endpoints: Endpoints) -> FastAPI:
    """Return the application that serves `/fleet/v1`, its OpenAPI document, and `/healthz`."""

    async def caller(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        if credentials is None:
            raise Unauthenticated
        return await keys.verify(credentials.credentials)

    Caller = Annotated[Principal, Depends(caller)]
    app = FastAPI(
        title="Fleet API",
        version="1",
        # The interactive pages would load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        responses={"default": {"model": Problem}},
    )
    answer_with_problems(app)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Answer once the read model does."""
        await reads.ping()
        return {"status": "ok"}

    @app.get("/fleet/v1/cells")
    async def cells(_: Caller) -> list[CellView]:
        """Return every cell, by id."""
        return await reads.cells()

    @app.get("/fleet/v1/namespaces/{namespace}")
    async def namespace(caller: Caller, namespace: str) -> NamespaceDetails:
        """Return the namespace and why it is as it is."""
        view = await reads.namespace(caller.account.id, namespace)
        if view is None:
            raise not_found(f"namespace {namespace!r} not found")
        return namespace_details(view, await endpoints.mtls(view))

    @app.get("/fleet/v1/operations/{operation}")
    async def operation(caller: Caller, operation: str) -> OperationDetails:
        """Return the operation, step by step."""
        found = await reads.operation(caller.account.id, operation)
        if found is None:
            raise not_found(f"operation {operation!r} not found")
        return operation_details(found.namespace, found.operation)

    return app
