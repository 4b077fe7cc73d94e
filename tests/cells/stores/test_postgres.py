"""A cell's stores, made on a server whose first role may create roles and databases only."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from temporalio.exceptions import ApplicationError

from cells.life.types import Blueprint
from cells.providers.types import Account, Cluster, DatabaseLogin, Foundation
from cells.runtime.observer import AddressObserver
from cells.stores.names import TEMPORAL, TEMPORAL_VISIBILITY, gatekeeper_role, ingress_database
from cells.stores.postgres import PostgresStores, SslMode
from cells.stores.tls import authority_file
from cells.types import Capacity, CellAddresses, CellSpec, Provider
from controlplane.errors import ErrorType
from controlplane.local.postgres import superuser
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import (
    PEER_CA,
    cell_database,
    cell_gatekeeper_database,
    cell_prefix,
    cell_temporal_database,
)
from provisioning.certificates.peers import FleetPeers
from provisioning.certificates.x509 import issue_server, new_ca
from provisioning.connections import CellConnections
from tests.cells.stores.tls_in_front import tls_in_front
from tests.postgres import RunningPostgres, running_postgres

DAY = timedelta(days=1)
FIRST = DatabaseLogin("cloudadmin", "cloudadmin-password")
CA = new_ca("the cloud's databases", validity=DAY)
STRANGER = new_ca("somebody else", validity=DAY).certificate_pem.decode()


@dataclass(frozen=True)
class KnownLogin:
    """The cloud, as far as it is asked here."""

    login: DatabaseLogin = FIRST

    async def database_login(self, foundation: Foundation) -> DatabaseLogin:
        assert foundation.database_secret
        return self.login


@dataclass(frozen=True)
class DyingStore(MemorySecretStore):
    """A secret store whose caller dies right after it has kept so many more secrets."""

    lives: list[str] = field(default_factory=list)

    async def put(self, name: str, value: bytes) -> None:
        await super().put(name, value)
        if self.lives and self.lives.pop() == "last":
            raise ConnectionError("died")


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPostgres]:
    """A server as a cloud gives it away: nobody here is its superuser."""
    async with running_postgres(tmp_path_factory.mktemp("cloud")) as running:
        async with superuser(running.server, running.password) as connection:
            await connection.execute(
                f"CREATE ROLE {FIRST.role} LOGIN CREATEROLE CREATEDB PASSWORD '{FIRST.password}'"
            )
            await connection.execute("CREATE ROLE nobody LOGIN PASSWORD 'x'")
            await connection.execute(f"ALTER DATABASE postgres OWNER TO {FIRST.role}")
        yield running


@pytest.fixture
def blueprint() -> Blueprint:
    uid = f"u{uuid4().hex[:7]}"
    return Blueprint(
        cell=f"aws-us-east-1-{uid}",
        uid=uid,
        provider=Provider.AWS,
        region="aws-us-east-1",
        ring=1,
        server_version="1.31.2",
        capacity=Capacity(100, 1000),
        failover_version=1001,
        network="10.1.0.0/16",
    )


def foundation(port: int, ca: str = "") -> Foundation:
    cluster = Cluster("c", "https://cluster.test", "")
    return Foundation(
        Account("1"), cluster, f"127.0.0.1:{port}", database_secret="arn", database_ca=ca
    )


def stores(
    secrets: MemorySecretStore, sslmode: SslMode = "disable", login: DatabaseLogin = FIRST
) -> PostgresStores:
    if PEER_CA not in secrets.values:
        secrets.values[PEER_CA] = new_ca("peers", validity=DAY).to_pem()
    return PostgresStores(secrets, KnownLogin(login), FleetPeers(secrets), sslmode)


async def connect(
    server: RunningPostgres, role: str, database: str, password: bytes
) -> AsyncConnection:
    conninfo = make_conninfo(server.server.url(role, database), password=password.decode())
    return await AsyncConnection.connect(conninfo, autocommit=True)


async def check_logins(server: RunningPostgres, cell: str, secrets: MemorySecretStore) -> None:
    """Fail unless every role gets in with the password that is kept."""
    database = ingress_database(cell)
    for role, within, kept in (
        (database, database, cell_database(cell)),
        (gatekeeper_role(cell), database, cell_gatekeeper_database(cell)),
        (TEMPORAL, TEMPORAL, cell_temporal_database(cell)),
        (TEMPORAL, TEMPORAL_VISIBILITY, cell_temporal_database(cell)),
    ):
        await (await connect(server, role, within, secrets.values[kept])).close()


async def test_the_control_plane_writes_and_the_gatekeeper_reads_every_namespace(
    server: RunningPostgres, blueprint: Blueprint
) -> None:
    cell, secrets = blueprint.cell, MemorySecretStore()
    await stores(secrets).prepare(blueprint, foundation(server.server.port))

    await check_logins(server, cell, secrets)
    database = ingress_database(cell)
    owner = await connect(server, database, database, secrets.values[cell_database(cell)])
    async with owner:
        await owner.execute(
            "INSERT INTO namespaces (namespace, uid, role, login, server_name) "
            "VALUES ('orders.acme1', 'u1', 'ns:orders.acme1', 'a', 'orders')"
        )
        # As for every namespace: a role that is one of the cell's tenants.
        tenant = f"tenant_of_{blueprint.uid}"
        await owner.execute(
            f"CREATE ROLE {tenant} LOGIN PASSWORD 't' IN ROLE \"tenants:{database}\""
        )
    gatekeeper = gatekeeper_role(cell)
    kept = secrets.values[cell_gatekeeper_database(cell)]
    async with await connect(server, gatekeeper, database, kept) as reader:
        rows = await reader.execute("SELECT namespace FROM namespaces")
        assert await rows.fetchall() == [("orders.acme1",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await reader.execute("DELETE FROM namespaces")
    async with await connect(server, tenant, database, b"t") as other:
        rows = await other.execute("SELECT namespace FROM namespaces")
        assert await rows.fetchall() == []


async def test_temporal_makes_its_schema_in_databases_that_nobody_else_enters(
    server: RunningPostgres, blueprint: Blueprint
) -> None:
    cell, secrets = blueprint.cell, MemorySecretStore()
    await stores(secrets).prepare(blueprint, foundation(server.server.port))

    password = secrets.values[cell_temporal_database(cell)]
    async with await connect(server, TEMPORAL, TEMPORAL_VISIBILITY, password) as temporal:
        await temporal.execute("CREATE EXTENSION IF NOT EXISTS btree_gin")
        await temporal.execute("CREATE TABLE IF NOT EXISTS executions_visibility (id int)")
    gatekeeper = secrets.values[cell_gatekeeper_database(cell)]
    for database in (TEMPORAL, TEMPORAL_VISIBILITY, "postgres"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            await connect(server, gatekeeper_role(cell), database, gatekeeper)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        await connect(server, TEMPORAL, ingress_database(cell), password)


async def test_preparing_again_changes_no_secret_and_mends_what_others_changed(
    server: RunningPostgres, blueprint: Blueprint
) -> None:
    cell, secrets = blueprint.cell, MemorySecretStore()
    prepared = stores(secrets)
    await prepared.prepare(blueprint, foundation(server.server.port))
    before = dict(secrets.values)
    async with superuser(server.server, server.password) as connection:
        await connection.execute(f"ALTER ROLE {gatekeeper_role(cell)} PASSWORD 'guessed'")

    await prepared.prepare(blueprint, foundation(server.server.port))

    assert secrets.values == before
    await check_logins(server, cell, secrets)


@pytest.mark.parametrize("kept", range(1, 6))
async def test_a_call_that_dies_after_keeping_a_secret_is_completed_by_the_next(
    server: RunningPostgres, blueprint: Blueprint, kept: int
) -> None:
    secrets = DyingStore(lives=["last"] + ["another"] * (kept - 1))
    prepared = stores(secrets)
    with pytest.raises(ConnectionError, match="died"):
        await prepared.prepare(blueprint, foundation(server.server.port))
    survived = {name: value for name, value in secrets.values.items() if name != PEER_CA}

    await prepared.prepare(blueprint, foundation(server.server.port))

    assert len(survived) == kept
    assert secrets.values.items() >= survived.items()
    await check_logins(server, blueprint.cell, secrets)


async def test_two_calls_at_once_agree_on_every_password(
    server: RunningPostgres, blueprint: Blueprint
) -> None:
    secrets = MemorySecretStore()
    prepared = stores(secrets)

    await asyncio.gather(
        *(prepared.prepare(blueprint, foundation(server.server.port)) for _ in range(2))
    )

    await check_logins(server, blueprint.cell, secrets)


async def test_forgetting_a_cell_leaves_the_secrets_of_all_others(
    server: RunningPostgres, blueprint: Blueprint
) -> None:
    secrets = MemorySecretStore()
    prepared, longer = stores(secrets), replace(blueprint, cell=f"{blueprint.cell}-b")
    for each in (blueprint, longer):
        await prepared.prepare(each, foundation(server.server.port))

    await prepared.forget(blueprint)
    await prepared.forget(blueprint)

    assert await secrets.names(cell_prefix(blueprint.cell)) == []
    assert len(await secrets.names(cell_prefix(longer.cell))) == 5
    assert PEER_CA in secrets.values


async def test_a_first_role_that_may_too_little_is_refused_with_what_to_grant(
    server: RunningPostgres, blueprint: Blueprint
) -> None:
    async with superuser(server.server, server.password) as connection:
        await connection.execute("GRANT CONNECT ON DATABASE postgres TO nobody")
    powerless = stores(MemorySecretStore(), login=DatabaseLogin("nobody", "x"))

    with pytest.raises(ApplicationError, match=r"role nobody .* Grant it CREATEROLE") as refused:
        await powerless.prepare(blueprint, foundation(server.server.port))

    assert refused.value.type == ErrorType.REJECTED


@dataclass(frozen=True)
class OneCell:
    """A directory of a single cell, of which nothing but the database is there."""

    database: str
    database_ca: str

    async def locate(self, cell: str) -> CellAddresses:
        assert cell
        nowhere = "127.0.0.1:9"
        return CellAddresses(
            frontend=nowhere,
            ingress=nowhere,
            ingress_admin=nowhere,
            gatekeeper=nowhere,
            database=self.database,
            database_ca=self.database_ca,
        )


async def test_a_server_is_talked_to_over_tls_and_only_if_the_clouds_ca_signed_it(
    server: RunningPostgres, blueprint: Blueprint, tmp_path: Path
) -> None:
    prepared = stores(MemorySecretStore(), "verify-full")
    certificate = issue_server(CA, ("db.test",), DAY, addresses=("127.0.0.1",))

    with pytest.raises(psycopg.OperationalError, match="SSL"):
        await prepared.prepare(blueprint, foundation(server.server.port))
    async with tls_in_front(server.server.port, certificate, tmp_path) as port:
        for ca in (STRANGER, ""):
            with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
                await prepared.prepare(blueprint, foundation(port, ca))
        await prepared.prepare(blueprint, foundation(port, CA.certificate_pem.decode()))


async def test_the_control_plane_reaches_a_cells_database_over_tls(
    server: RunningPostgres, blueprint: Blueprint, tmp_path: Path
) -> None:
    cell, secrets, owner = blueprint.cell, MemorySecretStore(), ingress_database(blueprint.cell)
    await stores(secrets).prepare(blueprint, foundation(server.server.port))
    certificate = issue_server(CA, ("db.test",), DAY, addresses=("127.0.0.1",))

    async with tls_in_front(server.server.port, certificate, tmp_path) as port:
        url = f"postgresql://{owner}@127.0.0.1:{port}/{owner}?sslmode=verify-full"
        there = OneCell(url, CA.certificate_pem.decode())
        reached = CellConnections(there, secrets)
        async with reached.to(cell) as connection:
            row = await (await connection.execute("SELECT current_user")).fetchone()
        assert row == (owner,)
        assert await reached.refuses(cell, owner, "guess")
        await reached.close()
        # Who tidies up temporary files does not know who needs them.
        authority_file(there.database_ca).unlink()
        assert not await seen_wrong(secrets, cell, blueprint, there)
        assert await seen_wrong(secrets, cell, blueprint, replace(there, database_ca=STRANGER))


async def seen_wrong(
    secrets: MemorySecretStore, cell: str, blueprint: Blueprint, there: OneCell
) -> list[str]:
    """Return what is wrong with the database, as who looks at cells sees it."""
    spec = CellSpec(
        provider=blueprint.provider,
        region=blueprint.region,
        ring=blueprint.ring,
        server_version=blueprint.server_version,
        capacity=blueprint.capacity,
        addresses=await there.locate(cell),
    )
    seen = await AddressObserver(secrets).observe(cell, spec)
    return [problem for problem in seen.problems if "the database" in problem]
