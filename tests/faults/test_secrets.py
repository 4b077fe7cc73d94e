"""No secret's value is anywhere but in the secret store and with those who need it."""

import base64
import json
from pathlib import Path

import psycopg
import psycopg.sql
import pytest
from psycopg.conninfo import make_conninfo

from controlplane.local.cells import CELLS
from controlplane.local.home import Home
from controlplane.secrets.port import CONTROLPLANE_DATABASE, cell_database
from tests.faults.faulty_worker import faulty_worker
from tests.fleet import RunningFleet
from tests.tenant import Tenant
from tests.traces import engine_of, secret_store


@pytest.mark.timeout(600)
async def test_no_secret_is_in_a_history_a_log_a_projection_or_an_error(
    fleet: RunningFleet, tenant: Tenant, tmp_path: Path
) -> None:
    async with faulty_worker(fleet, tmp_path / "faults") as worker:
        worker.faults.plan(tenant.id("leaky-0"), "prober.prove", "reject", "after")
        await tenant.finished(await tenant.create("leaky-0"))
        await tenant.created("leaky-1")
    values = await _secret_values(fleet)
    assert len(values) > 10, "there is something to look for"

    places = {
        **await _histories(fleet),
        **_logs(fleet),
        **await _databases(fleet),
    }
    leaks = sorted(
        f"{name} is in {place}"
        for place, text in places.items()
        for name, value in values.items()
        if value in text
    )

    assert leaks == []
    assert any("leaky-1" in text for place, text in places.items() if "history" in place)
    assert any("leaky-1" in text for place, text in places.items() if "namespaces" in place)
    await tenant.deleted("leaky-1")


async def _secret_values(fleet: RunningFleet) -> dict[str, str]:
    """Return what to look for: every secret's value, or its telling part, as text."""
    store, values = secret_store(fleet), {}
    for name in await store.names(""):
        value = await store.get(name)
        assert value is not None
        if value.startswith(b"{"):
            values[name] = json.loads(value)["password"]
        elif b"PRIVATE KEY" in value:
            # The key's own lines: certificates before it are public.
            key = value[value.index(b"PRIVATE KEY") :].splitlines()
            values[name] = key[1].decode()
        else:
            try:
                values[name] = value.decode()
            except UnicodeDecodeError:
                values[name] = base64.b64encode(value).decode()
    return values


async def _histories(fleet: RunningFleet) -> dict[str, str]:
    engine, histories = await engine_of(fleet), {}
    async for execution in engine.list_workflows():
        handle = engine.get_workflow_handle(execution.id, run_id=execution.run_id)
        events = (await handle.fetch_history()).events
        # Payloads are base64 in JSON; the events' own fields are looked through as they are.
        histories[f"the history of {execution.id} {execution.run_id}"] = "".join(
            repr(event.SerializeToString()) for event in events
        )
    return histories


def _logs(fleet: RunningFleet) -> dict[str, str]:
    return {
        f"the log {log.name}": log.read_text(errors="replace")
        for log in Home(fleet.home).logs.iterdir()
    }


async def _databases(fleet: RunningFleet) -> dict[str, str]:
    store, record = secret_store(fleet), fleet.record
    databases = {"controlplane": ("controlplane", CONTROLPLANE_DATABASE)}
    for cell in CELLS:
        name = f"cell_{cell.id.replace('-', '_')}"
        databases[name] = (name, cell_database(cell.id))
    dumps = [
        await _dump(record.database_url(role, name), await store.get(secret))
        for name, (role, secret) in databases.items()
    ]
    return {
        f"table {table} of database {name}": text
        for name, dump in zip(databases, dumps, strict=True)
        for table, text in dump.items()
    }


async def _dump(url: str, password: bytes | None) -> dict[str, str]:
    assert password is not None
    conninfo = make_conninfo(url, password=password.decode())
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        tables = await connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        return {
            table: repr(
                await (
                    await connection.execute(
                        psycopg.sql.SQL("SELECT t::text FROM {} t").format(
                            psycopg.sql.Identifier(table)
                        )
                    )
                ).fetchall()
            )
            for (table,) in await tables.fetchall()
        }
