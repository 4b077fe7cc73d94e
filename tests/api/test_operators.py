"""What runs the fleet is for operators: every path asks, whatever is sent."""

import pytest
from pydantic import JsonValue

from controlplane.identity.types import Role
from controlplane.store.audit import AuditLog
from tests.api.colleagues import colleague
from tests.api.running import RunningApi, Tenant

READING = [
    ("GET", "/fleet/v1/cells"),
    ("GET", "/fleet/v1/cells/nothing"),
    ("GET", "/fleet/v1/cells/nothing/links"),
    ("GET", "/fleet/v1/cell-lives"),
    ("GET", "/fleet/v1/cell-lives/nothing"),
    ("POST", "/fleet/v1/cell-lives:preview"),
    ("GET", "/fleet/v1/migrations"),
    ("GET", "/fleet/v1/evacuations"),
    ("GET", "/fleet/v1/evacuations/nothing"),
    ("GET", "/fleet/v1/availability"),
    ("GET", "/fleet/v1/releases"),
    ("GET", "/fleet/v1/releases/nothing"),
    ("POST", "/fleet/v1/rollouts:plan"),
    ("GET", "/fleet/v1/rollouts"),
    ("GET", "/fleet/v1/rollouts/nothing"),
    ("GET", "/fleet/v1/rollouts/nothing/plan"),
    ("GET", "/fleet/v1/rollouts/nothing/events"),
    ("GET", "/fleet/v1/rollouts/nothing/cells/nothing"),
    ("GET", "/fleet/v1/ledger"),
    ("GET", "/fleet/v1/calendar"),
    ("GET", "/fleet/v1/accounts/nobody/limits"),
]
CHANGING = [
    ("POST", "/fleet/v1/cells/nothing:cordon"),
    ("POST", "/fleet/v1/cells/nothing:uncordon"),
    ("POST", "/fleet/v1/cells/nothing:lift-quarantine"),
    ("POST", "/fleet/v1/cells/nothing:release-visit"),
    ("POST", "/fleet/v1/cell-lives"),
    ("POST", "/fleet/v1/cell-lives/nothing:retry"),
    ("POST", "/fleet/v1/cell-lives/nothing:abandon"),
    ("POST", "/fleet/v1/cell-lives/nothing:decommission"),
    ("POST", "/fleet/v1/cell-lives/nothing:keep"),
    ("POST", "/fleet/v1/evacuations"),
    ("POST", "/fleet/v1/evacuations/nothing:control"),
    ("POST", "/fleet/v1/availability:pause"),
    ("POST", "/fleet/v1/availability:resume"),
    ("PATCH", "/fleet/v1/availability/policy"),
    ("POST", "/fleet/v1/availability/cells/nothing:lift-hold"),
    ("POST", "/fleet/v1/releases"),
    ("POST", "/fleet/v1/rollouts"),
    ("POST", "/fleet/v1/rollouts:simulate"),
    ("POST", "/fleet/v1/rollouts/nothing:control"),
    ("POST", "/fleet/v1/ledger/nothing:fence"),
    ("PUT", "/fleet/v1/calendar"),
    ("POST", "/fleet/v1/calendar/blockers"),
    ("DELETE", "/fleet/v1/calendar/blockers/nothing"),
    ("PUT", "/fleet/v1/accounts/nobody/limits"),
]
CELL: dict[str, JsonValue] = {
    "cell": "nothing",
    "provider": "aws",
    "region": "aws-us-east-1",
    "ring": 1,
    "server_version": "1.30.1",
}
BODIES: dict[str, dict[str, JsonValue]] = {
    "/fleet/v1/releases": {"name": "No"},
    "/fleet/v1/rollouts": {"release": "nothing", "reason": "x"},
    "/fleet/v1/rollouts:plan": {"release": "nothing"},
    "/fleet/v1/rollouts:simulate": {"release": "nothing"},
    "/fleet/v1/rollouts/nothing:control": {"kind": "pause", "reason": "x"},
    "/fleet/v1/availability/policy": {"policy": {}, "reason": "x"},
    "/fleet/v1/evacuations": {"cell": "nothing", "kind": "drain", "reason": "x"},
    "/fleet/v1/evacuations/nothing:control": {"kind": "pause", "reason": "x"},
    "/fleet/v1/cell-lives": {**CELL, "cell": "No"},
    "/fleet/v1/cell-lives:preview": CELL,
    "/fleet/v1/ledger/nothing:fence": {"holder": "nobody", "reason": "x"},
    "/fleet/v1/calendar/blockers": {"name": "x", "reason": "x", "selector": "nowhere"},
    "/fleet/v1/accounts/nobody/limits": {"namespaces": 1},
}
"""Requests that change nothing, whoever sends them."""


async def status(tenant: Tenant, method: str, path: str) -> int:
    body = None if method in ("GET", "DELETE") else BODIES.get(path, {"reason": "x"})
    async with tenant.http() as http:
        return (await http.request(method, path, json=body)).status_code


@pytest.mark.parametrize(("method", "path"), READING + CHANGING)
async def test_the_owner_of_another_account_may_nothing_that_is_about_the_fleet(
    tenant: Tenant, method: str, path: str
) -> None:
    assert await status(tenant, method, path) == 403


async def test_operators_read_with_any_role_that_reads_and_change_with_those_that_run_the_account(
    operator: Tenant,
) -> None:
    reader, nobody = await colleague(operator, Role.READ), await colleague(operator, Role.NONE)
    admin = await colleague(operator, Role.ADMIN)

    for method, path in READING:
        assert await status(reader, method, path) in (200, 404), path
        assert await status(nobody, method, path) == 403, path
    for method, path in CHANGING:
        assert await status(admin, method, path) in (200, 400, 404), path
        assert await status(reader, method, path) == 403, path


async def test_every_path_of_the_fleet_is_among_these(operator: Tenant) -> None:
    async with operator.http() as http:
        document = (await http.get("/openapi.json")).json()
    templates = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/fleet/") and "{namespace}" not in path
    }
    anybodys = {
        ("GET", "/fleet/v1/operations/{operation}"),
        ("GET", "/fleet/v1/account/limits"),
        ("PUT", "/fleet/v1/account/limits"),
        ("GET", "/fleet/v1/audit-log"),
        ("GET", "/fleet/v1/audit-log/verification"),
    }

    assert {(m, p.replace("nobody", "nothing")) for m, p in READING + CHANGING} == {
        (m, _filled(p)) for m, p in templates - anybodys
    }


async def test_what_is_refused_is_recorded(api: RunningApi, tenant: Tenant) -> None:
    await status(tenant, "POST", "/fleet/v1/rollouts")

    (record,) = await AuditLog(api.pool).read(tenant.account, limit=10)
    assert (record.entry.what, record.entry.status) == (
        "fleet.rollouts.start",
        "PERMISSION_DENIED",
    )


def _filled(template: str) -> str:
    for name in ("cell", "release", "rollout", "blocker", "account", "evacuation"):
        template = template.replace(f"{{{name}}}", "nothing")
    return template
