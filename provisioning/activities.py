"""The steps of provisioning as side effects, each safe to repeat."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio import activity

from cells.ingress.records import AdmissionRules
from cells.placement import Placement, explain_refusal, place
from cells.types import Reserve
from controlplane.errors import no_capacity
from controlplane.ids import account_of, ingress_name, server_name
from provisioning.plan import RENEW_BEFORE, trust_basis
from provisioning.ports import (
    AccountKeys,
    Certificates,
    ClientCertificates,
    ClientTrust,
    Databases,
    Dns,
    Fleet,
    Incarnation,
    Ingress,
    NamespaceProjection,
    Prober,
    Registrar,
)
from provisioning.types import (
    DEMAND,
    AdmissionFacts,
    CertificateFacts,
    DatabaseFacts,
    DnsFacts,
    NamespaceView,
    ObservedNamespace,
    RegistrationFacts,
    SearchAttributeType,
    SigningRequest,
)

ENDPOINT_TTL = timedelta(seconds=15)
"""Short, so that clients follow a failover within half a minute."""


@dataclass(frozen=True)
class WriteDatabase:
    target: Incarnation
    replaces: datetime | None
    """When the credential to be replaced was made; None for the first one."""


@dataclass(frozen=True)
class IssueCertificate:
    target: Incarnation
    trust: ClientTrust


@dataclass(frozen=True)
class IssueClientCertificateFor:
    target: Incarnation
    request: SigningRequest


@dataclass(frozen=True)
class Register:
    target: Incarnation
    retention: timedelta
    search_attributes: dict[str, SearchAttributeType]


@dataclass(frozen=True)
class RenameAttribute:
    """The search attribute that lies in `field` is to be called `new`."""

    target: Incarnation
    field: str
    old: str
    new: str


@dataclass(frozen=True)
class Admit:
    target: Incarnation
    rules: AdmissionRules
    basis: str


@dataclass(frozen=True)
class Prove:
    target: Incarnation
    certificate_fingerprint: str
    api_keys: bool
    at_its_own_ingress: bool = False
    """Whether the cell's own ingress is proven, rather than wherever the endpoint's name leads."""


@dataclass(frozen=True)
class ObserveNamespace:
    target: Incarnation
    trust: ClientTrust


@dataclass(frozen=True)
class Observation:
    seen: ObservedNamespace
    at: datetime
    """By the engine's clock."""


@dataclass(frozen=True)
class ProvisioningActivities:
    zone: str
    fleet: Fleet
    databases: Databases
    certificates: Certificates
    registrar: Registrar
    ingress: Ingress
    dns: Dns
    prober: Prober
    account_keys: AccountKeys
    client_certificates: ClientCertificates
    projection: NamespaceProjection

    @activity.defn
    async def choose_cell(self, region: str) -> Placement:
        placement = place(region, DEMAND, await self.fleet.cells())
        if placement.cell is None:
            raise no_capacity(explain_refusal(placement))
        return placement

    @activity.defn
    async def reserve_cell(self, target: Incarnation) -> None:
        await self.fleet.reserve(target.cell, Reserve(target.namespace, target.uid, DEMAND))

    @activity.defn
    async def write_database(self, request: WriteDatabase) -> DatabaseFacts:
        target = request.target
        if request.replaces is not None:
            return await self.databases.rotate(target, request.replaces)
        return await self.databases.prepare(target, self._server_name(target))

    @activity.defn
    async def remove_database(self, target: Incarnation) -> None:
        await self.databases.remove(target)

    @activity.defn
    async def issue_certificate(self, request: IssueCertificate) -> CertificateFacts:
        name = self._server_name(request.target)
        issued = await self.certificates.ensure(request.target, name, request.trust, RENEW_BEFORE)
        return replace(issued, trust=trust_basis(request.trust))

    @activity.defn
    async def issue_client_certificate(self, request: IssueClientCertificateFor) -> None:
        target, asked = request.target, request.request
        issued = await self.certificates.sign(target, asked)
        await self.client_certificates.record(target.namespace, target.uid, asked.operation, issued)

    @activity.defn
    async def destroy_certificate(self, target: Incarnation) -> None:
        await self.certificates.destroy(target)
        await self.client_certificates.forget(target.namespace, target.uid)

    @activity.defn
    async def register(self, request: Register) -> RegistrationFacts:
        return await self.registrar.register(
            request.target, request.retention, request.search_attributes
        )

    @activity.defn
    async def rename_attribute(self, request: RenameAttribute) -> None:
        await self.registrar.rename(request.target, request.field, request.old, request.new)

    @activity.defn
    async def deregister(self, target: Incarnation) -> None:
        await self.registrar.deregister(target)

    @activity.defn
    async def admit(self, request: Admit) -> AdmissionFacts:
        target = request.target
        if request.rules.api_keys:
            await self.account_keys.ensure(target.cell, account_of(target.namespace))
        admission = await self.ingress.admit(target, self._server_name(target), request.rules)
        return replace(admission, basis=request.basis)

    @activity.defn
    async def dismiss(self, target: Incarnation) -> None:
        await self.ingress.dismiss(target)

    @activity.defn
    async def publish_dns(self, target: Incarnation) -> DnsFacts:
        alias_of = ingress_name(target.cell, self.zone)
        return await self.dns.publish(self._server_name(target), alias_of, ENDPOINT_TTL, target.uid)

    @activity.defn
    async def withdraw_dns(self, target: Incarnation) -> None:
        await self.dns.withdraw(self._server_name(target), target.uid)

    @activity.defn
    async def prove(self, request: Prove) -> None:
        target = request.target
        await self.prober.prove(
            target,
            self._server_name(target),
            request.certificate_fingerprint,
            request.api_keys,
            target.cell if request.at_its_own_ingress else "",
        )

    @activity.defn
    async def observe_namespace(self, request: ObserveNamespace) -> Observation:
        """Return what is there of the namespace, looked up part by part."""
        target = request.target
        seen = ObservedNamespace(
            database=await self.databases.observe(target),
            certificate=await self.certificates.observe(target, request.trust),
            registration=await self.registrar.observe(target),
            admission=await self.ingress.observe(target),
            dns=await self.dns.observe(self._server_name(target)),
        )
        return Observation(seen, activity.info().started_time)

    @activity.defn
    async def publish_namespace(self, view: NamespaceView) -> None:
        await self.projection.publish_namespace(view)

    def _server_name(self, target: Incarnation) -> str:
        return server_name(target.namespace, self.zone)
