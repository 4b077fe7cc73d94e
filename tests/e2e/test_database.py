"""What the database credential of a namespace opens, and what it does not."""

import json

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from controlplane.local.cells import CELLS
from controlplane.secrets.port import namespace_database
from tests.fleet import RunningFleet
from tests.tenant import Tenant
from tests.traces import secret_store

HOME = "cell_aws_us_east_1_c1"


async def test_a_namespaces_role_sees_its_own_rows_in_its_own_cell_and_nothing_else(
    fleet: RunningFleet, tenant: Tenant
) -> None:
    for name in ("curious", "private"):
        await tenant.created(name)
    stored = await secret_store(fleet).get(namespace_database(tenant.id("curious")))
    assert stored is not None
    credential = json.loads(stored)

    def conninfo(database: str) -> str:
        url = fleet.record.database_url("", database)
        return make_conninfo(url, user=credential["username"], password=credential["password"])

    async with await psycopg.AsyncConnection.connect(conninfo(HOME)) as connection:
        seen = await connection.execute("SELECT namespace FROM namespaces")
        assert await seen.fetchall() == [(tenant.id("curious"),)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT sealed_key FROM namespaces")
    others = [f"cell_{cell.id.replace('-', '_')}" for cell in CELLS]
    for database in {*others, "controlplane", "postgres", "template1"} - {HOME}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            await psycopg.AsyncConnection.connect(conninfo(database))
    await tenant.deleted("curious", "private")
