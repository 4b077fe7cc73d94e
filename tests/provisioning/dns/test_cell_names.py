"""A cell's name leads to its ingress, whether the cloud gave that a name or an address."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cells.types import CellAddresses
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import DNS_UPDATE_KEY
from provisioning.dns.cell_names import ZoneCellNames
from provisioning.dns.rfc2136 import Rfc2136Dns
from tests.local.dns.running import ZONE, Client, new_config, running

CELL = "aws-eu-west-1-c1"
BALANCER = "cell-a1b2c3d4.elb.eu-west-1.amazonaws.com"
NAME = f"{CELL}.cell.{ZONE}"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Client]:
    async with running(new_config(tmp_path)) as client:
        yield client


def names_of(server: Client) -> ZoneCellNames:
    secrets = MemorySecretStore({DNS_UPDATE_KEY: Path(server.config.key_file).read_bytes()})
    return ZoneCellNames(ZONE, Rfc2136Dns(ZONE, (server.config.listen,), secrets))


def ingress(host: str) -> CellAddresses:
    return CellAddresses("f:1", f"{host}:443", "a:1", "g:1", "postgresql://r@d:5432/d")


async def said(server: Client, rdtype: str) -> list[str]:
    reply = await server.ask(NAME, rdtype)
    return [record.to_text() for rrset in reply.answer for record in rrset]


@pytest.mark.parametrize(
    ("host", "rdtype", "data"),
    [(BALANCER, "CNAME", f"{BALANCER}."), ("10.3.0.9", "A", "10.3.0.9")],
    ids=["name", "address"],
)
async def test_a_cell_s_name_leads_to_its_ingress_until_it_is_withdrawn(
    server: Client, host: str, rdtype: str, data: str
) -> None:
    names = names_of(server)
    for _ in range(2):  # An answer was lost.
        await names.publish(CELL, ingress(host))
    assert await said(server, rdtype) == [data]

    for _ in range(2):
        await names.withdraw(CELL)
    assert await said(server, rdtype) == []
