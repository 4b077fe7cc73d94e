"""A world kept in memory: every port of provisioning, for tests of what happens above them."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cells.ingress.records import AdmissionRules, IngressRecord
from cells.types import CellView, Reserve
from controlplane.errors import no_capacity, rejected
from controlplane.ids import database_role
from provisioning.certificates import bundle, managed_ca
from provisioning.certificates.x509 import CertificateAndKey
from provisioning.ports import ClientTrust, Incarnation
from provisioning.types import (
    AdmissionFacts,
    CertificateFacts,
    ClientCertificate,
    DatabaseFacts,
    DnsFacts,
    NamespaceView,
    RegistrationFacts,
    SearchAttributeType,
    SigningRequest,
    Step,
)

CERTIFICATE_LIFE = timedelta(days=90)


@dataclass
class MemoryWorld:
    """What exists, by namespace, or by replica where it is another than the namespace's first.

    `faults` are raised by the next calls of a step, first to last. What is in a lost cell is kept,
    and does not answer.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    known_cells: list[CellView] = field(default_factory=list)
    full_cells: set[str] = field(default_factory=set)
    reservations: dict[str, str] = field(default_factory=dict)
    records: dict[str, tuple[str, DatabaseFacts]] = field(default_factory=dict)
    removed_records: set[str] = field(default_factory=set)
    """By uid."""
    issued: dict[str, tuple[str, CertificateFacts]] = field(default_factory=dict)
    managed_cas: dict[str, tuple[str, CertificateAndKey]] = field(default_factory=dict)
    registered: dict[str, RegistrationFacts] = field(default_factory=dict)
    admitted: dict[str, AdmissionFacts] = field(default_factory=dict)
    published: dict[str, DnsFacts] = field(default_factory=dict)
    publishers: dict[str, str] = field(default_factory=dict)
    """The uid for which a name was published."""
    keys_known: set[tuple[str, str]] = field(default_factory=set)
    """Cell and account."""
    client_certificates: dict[str, dict[tuple[str, str], ClientCertificate]] = field(
        default_factory=dict
    )
    """By namespace, then by uid and operation."""
    views: dict[str, NamespaceView] = field(default_factory=dict)
    taken: list[tuple[Step, str]] = field(default_factory=list)
    """Every step that was begun, undoing not counted."""
    faults: dict[Step, list[Exception]] = field(default_factory=dict)
    undo_faults: dict[Step, list[Exception]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    lost_cells: set[str] = field(default_factory=set)
    shut_ingresses: set[str] = field(default_factory=set)
    """Cells whose ingress lets nobody in, whatever it is told."""
    routes: dict[str, str] = field(default_factory=dict)
    """Where requests that reach a replica's ingress are passed on to."""

    def begin(self, step: Step, namespace: str, cell: str = "") -> None:
        self.taken.append((step, namespace))
        self.reach(cell)
        if self.faults.get(step):
            raise self.faults[step].pop(0)

    def reach(self, cell: str) -> None:
        if cell in self.lost_cells:
            raise ConnectionError(f"cell {cell} does not answer")

    def begin_undo(self, step: Step) -> None:
        if self.undo_faults.get(step):
            raise self.undo_faults[step].pop(0)

    def is_empty_of(self, namespace: str) -> bool:
        of_cells: tuple[dict[str, object], ...] = (self.records, self.admitted, self.routes)  # type: ignore[assignment]
        parts = (
            self.records,
            self.issued,
            self.managed_cas,
            self.registered,
            self.admitted,
            self.client_certificates,
        )
        return not (
            any(namespace in part for part in parts)
            or any(key.startswith(f"{namespace}@") for part in of_cells for key in part)
            or any(name.startswith(f"{namespace}.") for name in self.published)
        )


@dataclass(frozen=True)
class MemoryFleet:
    world: MemoryWorld

    async def cells(self) -> list[CellView]:
        return self.world.known_cells

    async def reserve(self, cell: str, request: Reserve) -> None:
        self.world.begin(Step.SELECT_CELL, request.namespace)
        if cell in self.world.full_cells:
            raise no_capacity(f"{cell} is full")
        self.world.reservations[request.namespace] = cell


@dataclass(frozen=True)
class MemoryDatabases:
    world: MemoryWorld

    async def prepare(self, target: Incarnation, server_name: str) -> DatabaseFacts:
        self.world.begin(Step.WRITE_DATABASE, target.namespace, target.cell)
        if target.record_uid in self.world.removed_records:
            raise rejected(f"the record of {server_name} was removed")
        uid, facts = self.world.records.get(
            replica_key(target), (target.record_uid, self._facts(target, "a"))
        )
        if uid != target.record_uid:
            raise rejected(f"{server_name} has a record of another namespace, {uid}")
        facts = replace(facts, flaw="")
        self.world.records[replica_key(target)] = (uid, facts)
        return facts

    async def rotate(self, target: Incarnation, replaces: datetime) -> DatabaseFacts:
        self.world.begin(Step.WRITE_DATABASE, target.namespace, target.cell)
        _, facts = self.world.records[replica_key(target)]
        if facts.rotated_at == replaces:
            slot = "b" if facts.login.endswith(":a") else "a"
            facts = self._facts(target, slot)
            self.world.records[replica_key(target)] = (target.record_uid, facts)
        return facts

    async def remove(self, target: Incarnation) -> None:
        self.world.begin_undo(Step.WRITE_DATABASE)
        self.world.reach(target.cell)
        self.world.removed_records.add(target.record_uid)
        if self.world.records.get(replica_key(target), ("",))[0] == target.record_uid:
            del self.world.records[replica_key(target)]

    async def observe(self, target: Incarnation) -> DatabaseFacts | None:
        self.world.reach(target.cell)
        uid, facts = self.world.records.get(replica_key(target), ("", None))
        return facts if uid == target.record_uid else None

    def _facts(self, target: Incarnation, slot: str) -> DatabaseFacts:
        role = database_role(target.namespace)
        return DatabaseFacts(role, "memory", f"{role}:{slot}", self.world.now())


@dataclass(frozen=True)
class MemoryCertificates:
    """Real CAs of the namespaces, and server certificates that are facts alone."""

    world: MemoryWorld

    async def ensure(
        self, target: Incarnation, server_name: str, trust: ClientTrust, renew_before: timedelta
    ) -> CertificateFacts:
        world, now = self.world, self.world.now()
        world.begin(Step.ISSUE_CERTIFICATE, target.namespace)
        client_cas = self._client_cas(trust)
        uid, present = world.issued.get(target.namespace, (target.uid, None))
        if uid != target.uid:
            raise rejected(f"{server_name} has a certificate of another incarnation, {uid}")
        if trust.managed_ca and self._managed_ca(target) is None:
            world.managed_cas[target.namespace] = (target.uid, managed_ca.make(target))
        if present is None or present.not_after - now <= renew_before:
            world.calls["issued"] += 1
            present = CertificateFacts(
                server_name=server_name,
                fingerprint=_digest(target.uid, str(world.calls["issued"])),
                not_before=now,
                not_after=now + CERTIFICATE_LIFE,
                client_ca_fingerprints=(),
                client_ca_not_after=None,
            )
        facts = self._facts(target, present, trust, client_cas)
        world.issued[target.namespace] = (target.uid, facts)
        return facts

    async def sign(self, target: Incarnation, request: SigningRequest) -> ClientCertificate:
        self.world.begin(Step.ISSUE_CERTIFICATE, target.namespace)
        ca = self._managed_ca(target)
        if ca is None:
            raise rejected(f"namespace {target.namespace} has no CA of its own")
        return managed_ca.sign(ca, target, request)

    async def destroy(self, target: Incarnation) -> None:
        self.world.begin_undo(Step.ISSUE_CERTIFICATE)
        if self.world.issued.get(target.namespace, ("",))[0] == target.uid:
            del self.world.issued[target.namespace]
        if self._managed_ca(target) is not None:
            del self.world.managed_cas[target.namespace]

    async def observe(self, target: Incarnation, trust: ClientTrust) -> CertificateFacts | None:
        uid, facts = self.world.issued.get(target.namespace, ("", None))
        if facts is None or uid != target.uid:
            return None
        return self._facts(target, facts, trust, self._client_cas(trust))

    def _client_cas(self, trust: ClientTrust) -> bundle.CaBundle:
        return bundle.check(trust.client_ca, self.world.now()) if trust.client_ca else bundle.NONE

    def _managed_ca(self, target: Incarnation) -> CertificateAndKey | None:
        uid, ca = self.world.managed_cas.get(target.namespace, ("", None))
        return ca if uid == target.uid else None

    def _facts(
        self,
        target: Incarnation,
        present: CertificateFacts,
        trust: ClientTrust,
        client_cas: bundle.CaBundle,
    ) -> CertificateFacts:
        ca = self._managed_ca(target)
        in_force = client_cas.joined_by(ca if trust.managed_ca else None)
        return replace(
            present,
            client_ca_fingerprints=in_force.fingerprints,
            client_ca_not_after=in_force.not_after,
            managed_ca="" if ca is None else ca.certificate_pem.decode(),
        )


@dataclass(frozen=True)
class MemoryRegistrar:
    world: MemoryWorld

    async def register(
        self,
        target: Incarnation,
        retention: timedelta,
        search_attributes: dict[str, SearchAttributeType],
    ) -> RegistrationFacts:
        self.world.begin(Step.REGISTER, target.namespace, target.cell)
        present = await self.observe(target)
        attributes = dict(present.search_attributes) if present is not None else {}
        fields = dict(present.fields) if present is not None else {}
        for name, kind in sorted(search_attributes.items()):
            if attributes.setdefault(name, kind) is not kind:
                raise rejected(f"search attribute {name} is a {attributes[name]}, not a {kind}")
            if name not in fields:
                fields[name] = _free_field(kind, fields)
        facts = RegistrationFacts(_digest(target.uid), retention, attributes, fields)
        self.world.registered[target.namespace] = facts
        return facts

    async def rename(self, target: Incarnation, field: str, old: str, new: str) -> None:
        self.world.begin(Step.REGISTER, target.namespace, target.cell)
        present = await self.observe(target)
        if present is None:
            raise rejected(f"namespace {target.namespace} is not registered")
        fields, attributes = dict(present.fields), dict(present.search_attributes)
        if fields.get(new) == field:
            return
        if fields.get(old) != field or new in fields:
            raise rejected(f"search attribute {old} cannot become {new}")
        fields[new], attributes[new] = fields.pop(old), attributes.pop(old)
        self.world.registered[target.namespace] = replace(
            present, fields=fields, search_attributes=attributes
        )

    async def deregister(self, target: Incarnation) -> None:
        self.world.begin_undo(Step.REGISTER)
        self.world.reach(target.cell)
        if await self.observe(target) is not None:
            del self.world.registered[target.namespace]

    async def observe(self, target: Incarnation) -> RegistrationFacts | None:
        self.world.reach(target.cell)
        present = self.world.registered.get(target.namespace)
        if present is None or present.namespace_uuid != _digest(target.uid):
            return None
        return present


@dataclass(frozen=True)
class MemoryIngress:
    world: MemoryWorld

    async def admit(
        self, target: Incarnation, server_name: str, rules: AdmissionRules
    ) -> AdmissionFacts:
        self.world.begin(Step.ADMIT, target.namespace, target.cell)
        _, issued = self.world.issued[target.namespace]
        if target.cell in self.world.shut_ingresses:
            raise TimeoutError(f"the gatekeeper of {target.cell} does not follow")
        key = replica_key(target)
        if key != target.namespace and key not in self.world.records:
            raise rejected(f"cell {target.cell} has no record of namespace {target.namespace}")
        record = IngressRecord(
            namespace=target.namespace,
            uid=target.record_uid,
            server_name=server_name,
            admitted=True,
            rules=replace(rules, active_cell=self.world.routes.get(key, "")),
            certificate_chain=issued.fingerprint,
            sealed_key=b"",
        )
        facts = AdmissionFacts(record.digest, parts=record.parts)
        self.world.admitted[key] = facts
        return facts

    async def dismiss(self, target: Incarnation) -> None:
        self.world.begin_undo(Step.ADMIT)
        self.world.reach(target.cell)
        self.world.admitted.pop(replica_key(target), None)
        self.world.routes.pop(replica_key(target), None)

    async def route(self, target: Incarnation, active_cell: str) -> None:
        self.world.reach(target.cell)
        if active_cell:
            self.world.routes[replica_key(target)] = active_cell
        else:
            self.world.routes.pop(replica_key(target), None)

    async def observe(self, target: Incarnation) -> AdmissionFacts | None:
        self.world.reach(target.cell)
        return self.world.admitted.get(replica_key(target))


@dataclass(frozen=True)
class MemoryDns:
    world: MemoryWorld

    async def publish(self, name: str, target: str, ttl: timedelta, uid: str) -> DnsFacts:
        self.world.begin(Step.PUBLISH_DNS, name)
        if self.world.publishers.get(name, uid) != uid:
            raise rejected(f"{name} was published for {self.world.publishers[name]}, not {uid}")
        facts = DnsFacts(name, target, ttl)
        self.world.published[name], self.world.publishers[name] = facts, uid
        return facts

    async def withdraw(self, name: str, uid: str) -> None:
        self.world.begin_undo(Step.PUBLISH_DNS)
        if self.world.publishers.get(name, uid) == uid:
            self.world.published.pop(name, None)
            self.world.publishers.pop(name, None)

    async def observe(self, name: str) -> DnsFacts | None:
        return self.world.published.get(name)


@dataclass(frozen=True)
class MemoryProber:
    world: MemoryWorld

    async def prove(
        self,
        target: Incarnation,
        server_name: str,
        certificate_fingerprint: str,
        api_keys: bool,
        at: str = "",
    ) -> None:
        world, key = self.world, replica_key(target)
        world.begin(Step.PROVE, target.namespace, target.cell)
        assert at or server_name in world.published, "nobody is shown the way"
        assert key in world.admitted, "nobody is let in"
        assert target.namespace in world.registered, "there is nothing behind the ingress"
        assert world.issued[target.namespace][1].fingerprint == certificate_fingerprint
        let_in = world.admitted[key].parts.get("api_keys")
        assert let_in == ("on" if api_keys else "off"), "API keys are not treated as asked for"


@dataclass(frozen=True)
class MemoryAccountKeys:
    world: MemoryWorld

    async def ensure(self, cell: str, account: str) -> None:
        self.world.keys_known.add((cell, account))


@dataclass(frozen=True)
class MemoryClientCertificates:
    world: MemoryWorld

    async def record(
        self, namespace: str, uid: str, operation: str, issued: ClientCertificate
    ) -> None:
        of_namespace = self.world.client_certificates.setdefault(namespace, {})
        of_namespace.setdefault((uid, operation), issued)

    async def forget(self, namespace: str, uid: str) -> None:
        of_namespace = self.world.client_certificates.get(namespace, {})
        left = {key: issued for key, issued in of_namespace.items() if key[0] != uid}
        if left:
            self.world.client_certificates[namespace] = left
        else:
            self.world.client_certificates.pop(namespace, None)


@dataclass(frozen=True)
class MemoryNamespaceProjection:
    world: MemoryWorld

    async def publish_namespace(self, view: NamespaceView) -> None:
        known = self.world.views.get(view.id)
        if known is None or known.revision < view.revision:
            self.world.views[view.id] = view


def replica_key(target: Incarnation) -> str:
    """Return the name of what exists of a replica."""
    return f"{target.namespace}@{target.cell}" if target.replica else target.namespace


def _free_field(kind: SearchAttributeType, fields: dict[str, str]) -> str:
    """Return the first field of that type that no search attribute has, as the real store does."""
    stem = kind.replace("_", " ").title().replace(" ", "")
    numbers = range(1, len(fields) + 2)
    return next(name for n in numbers if (name := f"{stem}{n:02}") not in fields.values())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
