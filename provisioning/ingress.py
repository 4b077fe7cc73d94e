"""Who gets through a cell's ingress: the record its gatekeeper enforces."""

import contextlib
import re
from dataclasses import asdict, replace

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cells.ingress.enforcement import Gatekeepers
from cells.ingress.gatekeeper.decoding import decode_record
from cells.ingress.peers import read_peer, write_peer
from cells.ingress.records import AdmissionRules, IngressRecord, loaded_service
from cells.ingress.sealing import SealBroken, open_sealed, private_key_context, seal
from controlplane.errors import rejected
from controlplane.secrets.port import SecretStore, cell_sealing_key, namespace_certificate
from provisioning.connections import CellConnections
from provisioning.ports import CellDirectory, Incarnation
from provisioning.types import AdmissionFacts

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


class GatekeeperIngress:
    """Writes records and waits until they are enforced: `provisioning.ports.Ingress`."""

    def __init__(
        self,
        directory: CellDirectory,
        connections: CellConnections,
        secrets: SecretStore,
        gatekeepers: Gatekeepers,
    ) -> None:
        self._directory = directory
        self._connections = connections
        self._secrets = secrets
        self._gatekeepers = gatekeepers

    async def admit(
        self,
        target: Incarnation,
        server_name: str,
        rules: AdmissionRules,
    ) -> AdmissionFacts:
        chain, key = await self._certificate(target)
        sealing_key = await self._sealing_key(target)
        context = private_key_context(target.namespace, target.record_uid)
        wanted = IngressRecord(
            namespace=target.namespace,
            uid=target.record_uid,
            server_name=server_name,
            admitted=True,
            rules=rules,
            certificate_chain=chain,
            sealed_key=seal(sealing_key, key, context),
        )
        async with self._connections.to(target.cell) as connection:
            present = await _read(connection, target)
            if present is None:
                raise rejected(
                    f"cell {target.cell} has no record of namespace {target.namespace} to admit"
                )
            if present.uid != target.record_uid:
                raise rejected(
                    f"the record of namespace {target.namespace} in cell {target.cell} has uid "
                    f"{present.uid}, not {target.record_uid}: delete that namespace first"
                )
            wanted = _leading_to(wanted, present.rules.active_cell)
            # Each sealing looks different: writing it anew would make Envoy load it anew.
            if present.digest != wanted.digest or not _opens(present, sealing_key, key):
                wanted = _leading_to(wanted, await _write(connection, wanted))
        await self._until_enforced(target, wanted)
        return AdmissionFacts(wanted.digest, parts=wanted.parts)

    async def route(self, target: Incarnation, active_cell: str) -> None:
        async with self._connections.to(target.cell) as connection:
            if active_cell:
                # First, so that the gatekeeper knows of no way that leads nowhere.
                ingress = (await self._directory.locate(active_cell)).ingress
                await write_peer(connection, active_cell, ingress)
            await _write_route(connection, target, active_cell)
            present = await _read(connection, target)
        if present is not None and present.uid == target.record_uid and present.admitted:
            await self._until_enforced(target, present)

    async def dismiss(self, target: Incarnation) -> None:
        async with self._connections.to(target.cell) as connection:
            present = await _read(connection, target)
            if present is None or present.uid != target.record_uid:
                return
            if not present.certificate_chain:
                await _write_route(connection, target, "")
                return
            if present.admitted:
                await _write(connection, replace(present, admitted=False))
        # What was enforced stays in the record until the gatekeeper has let go of it: a call that
        # died here is completed by the next one.
        service = loaded_service(target.namespace, replace(present, admitted=True).digest)
        await self._gatekeepers.until_let_go(
            target.cell, await self._gatekeeper(target), service, f"the record {service}"
        )
        emptied = replace(
            present,
            admitted=False,
            rules=AdmissionRules(),
            certificate_chain="",
            sealed_key=b"",
        )
        async with self._connections.to(target.cell) as connection:
            await _write_route(connection, target, "")
            await _write(connection, emptied)

    async def observe(self, target: Incarnation) -> AdmissionFacts | None:
        async with self._connections.to(target.cell) as connection:
            present = await _read(connection, target)
            if present is None or present.uid != target.record_uid or not present.admitted:
                return None
            peer = present.rules.active_cell
            known = await read_peer(connection, peer) if peer else None
        if peer and known != (expected := (await self._directory.locate(peer)).ingress):
            lost = f"{peer}, believed to be at {known or 'no address'} and not at {expected}"
            return AdmissionFacts("", parts={**present.parts, "active_cell": lost})
        return AdmissionFacts(present.digest, parts=present.parts)

    async def _until_enforced(self, target: Incarnation, record: IngressRecord) -> None:
        service = loaded_service(target.namespace, record.digest)
        await self._gatekeepers.until_enforced(
            target.cell, await self._gatekeeper(target), service, f"the record {service}"
        )

    async def _certificate(self, target: Incarnation) -> tuple[str, bytes]:
        """Return the endpoint's certificate chain and its private key, both PEM."""
        name = namespace_certificate(target.namespace)
        pem = await self._secrets.get(name)
        if pem is None:
            raise rejected(f"the secret store has no {name}: issue the certificate first")
        text = pem.decode()
        begin = _PRIVATE_KEY.search(text)
        if begin is None:
            raise rejected(f"{name} in the secret store has no private key: issue it anew")
        return text[: begin.start()], text[begin.start() :].encode()

    async def _sealing_key(self, target: Incarnation) -> bytes:
        key = await self._secrets.get(cell_sealing_key(target.cell))
        if key is None:
            raise rejected(f"the secret store has no {cell_sealing_key(target.cell)}")
        return key

    async def _gatekeeper(self, target: Incarnation) -> str:
        return (await self._directory.locate(target.cell)).gatekeeper


def _leading_to(record: IngressRecord, active_cell: str) -> IngressRecord:
    return replace(record, rules=replace(record.rules, active_cell=active_cell))


def _opens(record: IngressRecord, sealing_key: bytes, key: bytes) -> bool:
    """Tell whether the record holds this private key, readable for the cell's gatekeeper."""
    context = private_key_context(record.namespace, record.uid)
    with contextlib.suppress(SealBroken):
        return open_sealed(sealing_key, record.sealed_key, context) == key
    return False


async def _read(connection: AsyncConnection, target: Incarnation) -> IngressRecord | None:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        "SELECT namespace, uid, server_name, admitted, client_ca, certificate_filters, api_keys,"
        " revoked_serials, requests_per_second, active_cell, forward_polls, certificate_chain,"
        " sealed_key FROM namespaces WHERE namespace = %s",
        (target.namespace,),
    )
    row = await cursor.fetchone()
    return None if row is None else decode_record(row)


async def _write_route(connection: AsyncConnection, target: Incarnation, active_cell: str) -> None:
    """Let the record say where requests go, unless it is another incarnation's."""
    await connection.execute(
        "UPDATE namespaces SET active_cell = %s, updated_at = now()"
        " WHERE namespace = %s AND uid = %s AND active_cell <> %s",
        (active_cell, target.namespace, target.record_uid, active_cell),
    )


async def _write(connection: AsyncConnection, record: IngressRecord) -> str:
    """Replace what the record says, unless it has become another incarnation's; but where requests
    go, which may be another's to say just now, leave as it is, and return it."""
    rules = record.rules
    cursor = await connection.execute(
        "UPDATE namespaces SET server_name = %s, admitted = %s, client_ca = %s,"
        " certificate_filters = %s, api_keys = %s, revoked_serials = %s,"
        " requests_per_second = %s, forward_polls = %s, certificate_chain = %s, sealed_key = %s,"
        " updated_at = now() WHERE namespace = %s AND uid = %s RETURNING active_cell",
        (
            record.server_name,
            record.admitted,
            rules.client_ca,
            Jsonb([asdict(wanted) for wanted in rules.certificate_filters]),
            rules.api_keys,
            Jsonb(list(rules.revoked_serials)),
            rules.requests_per_second,
            rules.forward_polls,
            record.certificate_chain,
            record.sealed_key,
            record.namespace,
            record.uid,
        ),
    )
    written = await cursor.fetchone()
    if written is None:
        raise LookupError(
            f"the record of namespace {record.namespace} was removed while it was written"
        )
    return str(written[0])
