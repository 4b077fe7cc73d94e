"""The fleet's DNS server: its configuration, and the names of the cells' ingresses."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode

from controlplane.ids import ingress_name
from controlplane.local.dns.config import DnsConfig
from controlplane.local.fleet_secrets import read
from controlplane.local.home import FleetRecord, Home, keep_file
from controlplane.local.ports import LOOPBACK
from controlplane.secrets.port import DNS_UPDATE_KEY, SecretStore
from provisioning.dns.rfc2136 import UPDATE_KEY_NAME, Rfc2136Dns

_INGRESS_TTL = timedelta(seconds=15)
_ANSWER_SECONDS = 2.0


async def write_configuration(home: Home, record: FleetRecord, secrets: SecretStore) -> Path:
    """Write what the server reads, and return the file to start it with."""
    folder = home.folder("dns")
    key_file, configuration = folder / "update-key", folder / "dns.json"
    keep_file(key_file, await read(secrets, DNS_UPDATE_KEY))
    settings = DnsConfig(
        zone=record.zone,
        listen=record.address("dns"),
        zone_file=str(folder / "zone"),
        key_name=UPDATE_KEY_NAME,
        key_file=str(key_file),
    )
    keep_file(configuration, settings.to_json().encode())
    return configuration


async def answers(record: FleetRecord) -> bool:
    """Tell whether the server answers for the zone."""
    question = dns.message.make_query(record.zone, "SOA")
    try:
        answer = await dns.asyncquery.udp(
            question, LOOPBACK, port=record.ports["dns"], timeout=_ANSWER_SECONDS
        )
    except (OSError, dns.exception.DNSException):
        return False
    return answer.rcode() == dns.rcode.NOERROR


async def publish_ingresses(
    record: FleetRecord, cells: Sequence[str], secrets: SecretStore
) -> None:
    """Give each cell's ingress its name, to which the names of its namespaces will point."""
    server = Rfc2136Dns(record.zone, (record.address("dns"),), secrets)
    await asyncio.gather(
        *(
            server.publish_address(ingress_name(cell, record.zone), LOOPBACK, _INGRESS_TTL)
            for cell in cells
        )
    )
