"""A world kept in memory: every port of provisioning, for tests of what happens above them."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cells.ingress.records import CertificateFilter
from cells.types import CellView, Reserve
from controlplane.errors import no_capacity, rejected
from controlplane.ids import database_role
from provisioning.certificates import bundle
from provisioning.ports import Incarnation
from provisioning.types import (
    AdmissionFacts,
    CertificateFacts,
    DatabaseFacts,
    DnsFacts,
    NamespaceView,
    RegistrationFacts,
    SearchAttributeType,
    Step,
)

CERTIFICATE_LIFE = timedelta(days=90)


@dataclass
class MemoryWorld:
    """What exists, by namespace. `faults` are raised by the next calls of a step, first to last."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    known_cells: list[CellView] = field(default_factory=list)
    full_cells: set[str] = field(default_factory=set)
    reservations: dict[str, str] = field(default_factory=dict)
    records: dict[str, tuple[str, DatabaseFacts]] = field(default_factory=dict)
    issued: dict[str, tuple[str, CertificateFacts]] = field(default_factory=dict)
    registered: dict[str, RegistrationFacts] = field(default_factory=dict)
    admitted: dict[str, AdmissionFacts] = field(default_factory=dict)
    published: dict[str, DnsFacts] = field(default_factory=dict)
    views: dict[str, NamespaceView] = field(default_factory=dict)
    taken: list[tuple[Step, str]] = field(default_factory=list)
    """Every step that was begun, undoing not counted."""
    faults: dict[Step, list[Exception]] = field(default_factory=dict)
    undo_faults: dict[Step, list[Exception]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    def begin(self, step: Step, namespace: str) -> None:
        self.taken.append((step, namespace))
        if self.faults.get(step):
            raise self.faults[step].pop(0)

    def begin_undo(self, step: Step) -> None:
        if self.undo_faults.get(step):
            raise self.undo_faults[step].pop(0)

    def is_empty_of(self, namespace: str) -> bool:
        parts = (self.records, self.issued, self.registered, self.admitted)
        return not (
            any(namespace in part for part in parts)
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
        self.world.begin(Step.WRITE_DATABASE, target.namespace)
        uid, facts = self.world.records.setdefault(
            target.namespace, (target.uid, self._facts(target, "a"))
        )
        if uid != target.uid:
            raise rejected(f"{server_name} has a record of another namespace, {uid}")
        return facts

    async def rotate(self, target: Incarnation, replaces: datetime) -> DatabaseFacts:
        self.world.begin(Step.WRITE_DATABASE, target.namespace)
        _, facts = self.world.records[target.namespace]
        if facts.rotated_at == replaces:
            slot = "b" if facts.login.endswith(":a") else "a"
            facts = self._facts(target, slot)
            self.world.records[target.namespace] = (target.uid, facts)
        return facts

    async def remove(self, target: Incarnation) -> None:
        self.world.begin_undo(Step.WRITE_DATABASE)
        if self.world.records.get(target.namespace, ("",))[0] == target.uid:
            del self.world.records[target.namespace]

    async def observe(self, target: Incarnation) -> DatabaseFacts | None:
        record = self.world.records.get(target.namespace)
        return None if record is None else record[1]

    def _facts(self, target: Incarnation, slot: str) -> DatabaseFacts:
        role = database_role(target.namespace)
        return DatabaseFacts(role, "memory", f"{role}:{slot}", self.world.now())


@dataclass(frozen=True)
class MemoryCertificates:
    world: MemoryWorld

    async def ensure(
        self, target: Incarnation, server_name: str, client_ca: str, renew_before: timedelta
    ) -> CertificateFacts:
        world, now = self.world, self.world.now()
        world.begin(Step.ISSUE_CERTIFICATE, target.namespace)
        client_cas = bundle.check(client_ca, now)
        uid, present = world.issued.get(target.namespace, (target.uid, None))
        if uid != target.uid:
            raise rejected(f"{server_name} has a certificate of another incarnation, {uid}")
        if present is None or present.not_after - now <= renew_before:
            world.calls["issued"] += 1
            present = CertificateFacts(
                server_name=server_name,
                fingerprint=_digest(target.uid, str(world.calls["issued"])),
                not_before=now,
                not_after=now + CERTIFICATE_LIFE,
                client_ca_fingerprints=(),
                client_ca_not_after=now,
            )
        facts = _with_client_cas(present, client_cas)
        world.issued[target.namespace] = (target.uid, facts)
        return facts

    async def destroy(self, target: Incarnation) -> None:
        self.world.begin_undo(Step.ISSUE_CERTIFICATE)
        if self.world.issued.get(target.namespace, ("",))[0] == target.uid:
            del self.world.issued[target.namespace]

    async def observe(self, target: Incarnation, client_ca: str) -> CertificateFacts | None:
        uid, facts = self.world.issued.get(target.namespace, ("", None))
        if facts is None or uid != target.uid:
            return None
        return _with_client_cas(facts, bundle.check(client_ca, self.world.now()))


@dataclass(frozen=True)
class MemoryRegistrar:
    world: MemoryWorld

    async def register(
        self,
        target: Incarnation,
        retention: timedelta,
        search_attributes: dict[str, SearchAttributeType],
    ) -> RegistrationFacts:
        self.world.begin(Step.REGISTER, target.namespace)
        facts = RegistrationFacts(_digest(target.uid), retention, search_attributes)
        self.world.registered[target.namespace] = facts
        return facts

    async def deregister(self, target: Incarnation) -> None:
        self.world.begin_undo(Step.REGISTER)
        self.world.registered.pop(target.namespace, None)

    async def observe(self, target: Incarnation) -> RegistrationFacts | None:
        return self.world.registered.get(target.namespace)


@dataclass(frozen=True)
class MemoryIngress:
    world: MemoryWorld

    async def admit(
        self,
        target: Incarnation,
        server_name: str,
        client_ca: str,
        filters: tuple[CertificateFilter, ...],
    ) -> AdmissionFacts:
        self.world.begin(Step.ADMIT, target.namespace)
        _, issued = self.world.issued[target.namespace]
        facts = AdmissionFacts(_digest(server_name, client_ca, str(filters), issued.fingerprint))
        self.world.admitted[target.namespace] = facts
        return facts

    async def dismiss(self, target: Incarnation) -> None:
        self.world.begin_undo(Step.ADMIT)
        self.world.admitted.pop(target.namespace, None)

    async def observe(self, target: Incarnation) -> AdmissionFacts | None:
        return self.world.admitted.get(target.namespace)


@dataclass(frozen=True)
class MemoryDns:
    world: MemoryWorld

    async def publish(self, name: str, target: str, ttl: timedelta) -> DnsFacts:
        self.world.begin(Step.PUBLISH_DNS, name)
        facts = DnsFacts(name, target, ttl)
        self.world.published[name] = facts
        return facts

    async def withdraw(self, name: str) -> None:
        self.world.begin_undo(Step.PUBLISH_DNS)
        self.world.published.pop(name, None)

    async def observe(self, name: str) -> DnsFacts | None:
        return self.world.published.get(name)


@dataclass(frozen=True)
class MemoryProber:
    world: MemoryWorld

    async def prove(
        self, target: Incarnation, server_name: str, certificate_fingerprint: str
    ) -> None:
        world = self.world
        world.begin(Step.PROVE, target.namespace)
        assert server_name in world.published, "nobody is shown the way"
        assert target.namespace in world.admitted, "nobody is let in"
        assert target.namespace in world.registered, "there is nothing behind the ingress"
        assert world.issued[target.namespace][1].fingerprint == certificate_fingerprint


@dataclass(frozen=True)
class MemoryNamespaceProjection:
    world: MemoryWorld

    async def publish_namespace(self, view: NamespaceView) -> None:
        known = self.world.views.get(view.id)
        if known is None or known.revision < view.revision:
            self.world.views[view.id] = view


def _with_client_cas(facts: CertificateFacts, client_cas: bundle.CaBundle) -> CertificateFacts:
    return replace(
        facts,
        client_ca_fingerprints=client_cas.fingerprints,
        client_ca_not_after=client_cas.not_after,
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
