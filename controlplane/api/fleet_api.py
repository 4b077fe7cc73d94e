"""The Fleet API: HTTP and JSON, for operators and for whatever explains what is going on.

Its keys and what they may do are those of the Cloud Ops API. What it changes is an operation, too:
with the same `operation_id` it is begun once, and GetAsyncOperation knows of it.
"""

from typing import Annotated

from fastapi import Depends, FastAPI

from controlplane.api.authentication import Verifier
from controlplane.api.calls import Calls
from controlplane.api.fleet_types import OperationDetails, Problem, operation_details
from controlplane.api.http_callers import http_caller
from controlplane.api.namespace_routes import NamespaceRoutes
from controlplane.api.problems import answer_with_problems
from controlplane.errors import not_found
from controlplane.identity.permissions import may_see_operation
from controlplane.identity.types import Principal
from controlplane.store.queries import ReadModel


def fleet_app(
    keys: Verifier, calls: Calls, reads: ReadModel, namespaces: NamespaceRoutes
) -> FastAPI:
    """Return the application that serves `/fleet/v1`, its OpenAPI document, and `/healthz`."""
    caller = http_caller(keys)
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

    @app.get("/fleet/v1/operations/{operation}")
    async def operation(caller: Caller, operation: str) -> OperationDetails:
        """Return the operation, step by step."""
        await calls.admitted(caller, "fleet.operation", None)
        found = await reads.operation(caller.account.id, operation)
        if found is None or not may_see_operation(caller, found.namespace, found.actor):
            raise not_found(f"operation {operation!r} not found")
        return operation_details(found.namespace, found.operation)

    app.include_router(namespaces.router(caller))
    return app
