"""What a namespace needs next. Pure: no clock, no I/O, no Temporal."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from cells.ingress.records import AdmissionRules
from controlplane.resource import ConditionStatus
from provisioning.ports import ClientTrust
from provisioning.types import (
    Difference,
    IngressPolicy,
    NamespaceCondition,
    NamespaceSpec,
    ObservedNamespace,
    Rename,
    SearchAttributeType,
    Step,
)

RENEW_BEFORE = timedelta(days=30)
"""A server certificate is renewed when less than this is left of its life."""
ROTATE_EVERY = timedelta(days=30)
"""How long a namespace's database credential is the current one."""
WARN_BEFORE = timedelta(days=30)
"""A CA bundle is said to expire soon when less than this is left of its first certificate."""
RENEWAL_IS_LATE = timedelta(days=7)
"""How long after its time for renewal a server certificate is said not to be renewed."""

NEEDS: dict[Step, tuple[Step, ...]] = {
    Step.SELECT_CELL: (),
    Step.WRITE_DATABASE: (Step.SELECT_CELL,),
    Step.ISSUE_CERTIFICATE: (Step.SELECT_CELL,),
    Step.REGISTER: (Step.SELECT_CELL,),
    # Nobody is let in before there is something whole to be let in to,
    Step.ADMIT: (Step.WRITE_DATABASE, Step.ISSUE_CERTIFICATE, Step.REGISTER),
    # and nobody is shown the way before somebody would be let in.
    Step.PUBLISH_DNS: (Step.ADMIT,),
    Step.PROVE: (Step.ADMIT, Step.PUBLISH_DNS),
}
"""What must be in place before a step is taken, and is undone only after it."""

TRACELESS = (Step.PROVE,)
"""Steps that leave nothing in the world, and so nothing to undo."""


_LATER_RULES = {"forward_polls": True}


@dataclass(frozen=True)
class Wanted:
    """All that steps are taken for."""

    spec: NamespaceSpec
    policy: IngressPolicy = field(default_factory=IngressPolicy)
    renames: tuple[Rename, ...] = ()

    @property
    def trust(self) -> ClientTrust:
        return ClientTrust(self.spec.client_ca, self.spec.managed_ca)


def next_steps(wanted: Wanted, observed: ObservedNamespace, now: datetime) -> tuple[Step, ...]:
    """Return the steps to take now, all at once; none when the namespace is as wanted."""
    due = [step for step in Step if _is_due(step, wanted, observed, now)]
    return tuple(step for step in due if not any(need in due for need in NEEDS[step]))


def next_undos(standing: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps to undo now, all at once: those on which nothing standing depends."""
    return tuple(
        step for step in standing if not any(step in NEEDS[dependent] for dependent in standing)
    )


def still_true(remembered: ObservedNamespace, seen: ObservedNamespace) -> ObservedNamespace:
    """Return what is remembered less what was found changed or gone, so that it is done again."""
    certificate = remembered.certificate
    if seen.certificate is None or (
        certificate is not None
        and (
            certificate.fingerprint != seen.certificate.fingerprint
            or certificate.managed_ca != seen.certificate.managed_ca
        )
    ):
        certificate = None
    admission = remembered.admission
    if seen.admission is None or (
        admission is not None and admission.digest != seen.admission.digest
    ):
        admission = None
    dns = remembered.dns
    whole = seen.database is not None and not seen.database.flaw
    return ObservedNamespace(
        placement=remembered.placement,
        database=remembered.database if whole else None,
        certificate=certificate,
        registration=seen.registration,
        admission=admission,
        dns=dns if dns == seen.dns else None,
        proof=None if admission is None else remembered.proof,
    )


def differences(remembered: ObservedNamespace, seen: ObservedNamespace) -> tuple[Difference, ...]:
    """Return how what is there differs from what we made, part by part."""
    return tuple(_differences(remembered, seen))


def leftovers(seen: ObservedNamespace) -> tuple[Step, ...]:
    """Return the steps of which something is still there, in the order they are taken."""
    parts = {
        Step.WRITE_DATABASE: seen.database,
        Step.ISSUE_CERTIFICATE: seen.certificate,
        Step.REGISTER: seen.registration,
        Step.ADMIT: seen.admission,
        Step.PUBLISH_DNS: seen.dns,
    }
    return tuple(step for step, part in parts.items() if part is not None)


def next_due(observed: ObservedNamespace) -> datetime | None:
    """Return when time alone makes a step due; None when nothing of the namespace ages."""
    ages = []
    if observed.certificate is not None:
        ages.append(observed.certificate.not_after - RENEW_BEFORE)
    if observed.database is not None:
        ages.append(observed.database.rotated_at + ROTATE_EVERY)
    return min(ages, default=None)


def trust_basis(trust: ClientTrust) -> str:
    """Return a fingerprint of whose client certificates are to be trusted."""
    return _fingerprint(asdict(trust))


def admission_rules(wanted: Wanted, observed: ObservedNamespace) -> AdmissionRules:
    """Return what the ingress is asked to enforce."""
    assert observed.certificate is not None, "admission comes after the certificate"
    spec, policy = wanted.spec, wanted.policy
    return AdmissionRules(
        client_ca=observed.certificate.managed_ca if spec.managed_ca else spec.client_ca,
        certificate_filters=spec.certificate_filters,
        api_keys=spec.api_keys,
        revoked_serials=policy.revoked_serials,
        requests_per_second=policy.requests_per_second,
        forward_polls=spec.forward_polls,
    )


def admission_basis(wanted: Wanted, observed: ObservedNamespace) -> str:
    """Return a fingerprint of what the ingress is asked to enforce, certificate included."""
    assert observed.certificate is not None, "admission comes after the certificate"
    rules = asdict(admission_rules(wanted, observed))
    # An admission leaves it as it is.
    del rules["active_cell"]
    # What came to the rules later counts once somebody asks for it: what was admitted before by the
    # rules of its day is admitted rightly.
    asked = {
        rule: value
        for rule, value in rules.items()
        if rule not in _LATER_RULES or value != _LATER_RULES[rule]
    }
    return _fingerprint([observed.certificate.fingerprint, asked])


def renamed(spec: NamespaceSpec, old: str, new: str) -> NamespaceSpec:
    """Return the spec with one search attribute under its other name."""
    attributes = {
        new if name == old else name: kind for name, kind in spec.search_attributes.items()
    }
    return replace(spec, search_attributes=dict(sorted(attributes.items())))


def attributes_before(
    spec: NamespaceSpec, renames: Sequence[Rename]
) -> dict[str, SearchAttributeType]:
    """Return the spec's search attributes under the names they have before they are renamed."""
    for rename in reversed(renames):
        spec = renamed(spec, rename.new, rename.old)
    return spec.search_attributes


@dataclass(frozen=True)
class Validity:
    """Whether something that expires is good for a while."""

    condition: NamespaceCondition
    status: ConditionStatus
    reason: str
    message: str


def validity(observed: ObservedNamespace, now: datetime) -> tuple[Validity, ...]:
    """Return what is to be said of the namespace's certificates."""
    certificate = observed.certificate
    if certificate is None:
        return ()
    server = _validity(
        NamespaceCondition.CERTIFICATE_VALID,
        "the endpoint's server certificate",
        certificate.not_after,
        RENEW_BEFORE - RENEWAL_IS_LATE,
        now,
    )
    if certificate.client_ca_not_after is None:
        return (server,)
    clients = _validity(
        NamespaceCondition.CLIENT_CA_VALID,
        "a certificate of the CA bundle",
        certificate.client_ca_not_after,
        WARN_BEFORE,
        now,
    )
    return (server, clients)


def _validity(
    condition: NamespaceCondition, what: str, expires: datetime, warn: timedelta, now: datetime
) -> Validity:
    day = f"{expires:%Y-%m-%d %H:%M} UTC"
    if now >= expires:
        return Validity(condition, ConditionStatus.FALSE, "Expired", f"{what} expired at {day}")
    if now >= expires - warn:
        return Validity(
            condition, ConditionStatus.FALSE, "ExpiresSoon", f"{what} expires at {day}: replace it"
        )
    return Validity(condition, ConditionStatus.TRUE, "Valid", f"until {day}")


def _is_due(step: Step, wanted: Wanted, observed: ObservedNamespace, now: datetime) -> bool:
    match step:
        case Step.SELECT_CELL:
            return observed.placement is None
        case Step.WRITE_DATABASE:
            return observed.database is None or now >= observed.database.rotated_at + ROTATE_EVERY
        case Step.ISSUE_CERTIFICATE:
            return (
                observed.certificate is None
                or observed.certificate.trust != trust_basis(wanted.trust)
                or now >= observed.certificate.not_after - RENEW_BEFORE
            )
        case Step.REGISTER:
            return (
                observed.registration is None
                or bool(wanted.renames)
                or observed.registration.retention != wanted.spec.retention
                or not wanted.spec.search_attributes.items()
                <= observed.registration.search_attributes.items()
            )
        case Step.ADMIT:
            return (
                observed.admission is None
                or observed.certificate is None
                or observed.admission.basis != admission_basis(wanted, observed)
            )
        case Step.PUBLISH_DNS:
            return observed.dns is None
        case Step.PROVE:
            return observed.proof is None or (
                observed.admission is not None
                and observed.proof.digest != observed.admission.digest
            )


_GONE = "nothing"


def _differences(remembered: ObservedNamespace, seen: ObservedNamespace) -> Iterator[Difference]:
    database = remembered.database
    if database is not None:
        if seen.database is None:
            yield Difference(Step.WRITE_DATABASE, "record", database.role, _GONE)
        elif seen.database.flaw:
            yield Difference(Step.WRITE_DATABASE, "record", "as written", seen.database.flaw)
    certificate = remembered.certificate
    if certificate is not None:
        found = _GONE if seen.certificate is None else seen.certificate.fingerprint
        if found != certificate.fingerprint:
            yield Difference(Step.ISSUE_CERTIFICATE, "certificate", certificate.fingerprint, found)
        elif seen.certificate is not None and certificate.managed_ca != seen.certificate.managed_ca:
            found = "another" if seen.certificate.managed_ca else _GONE
            yield Difference(Step.ISSUE_CERTIFICATE, "managed CA", "as made", found)
    if remembered.registration is not None:
        wanted = _registration_parts(remembered)
        yield from _differing(Step.REGISTER, "namespace", wanted, _registration_parts(seen))
    admission = remembered.admission
    if admission is not None:
        if seen.admission is None:
            yield Difference(Step.ADMIT, "admission", "admitted", "not admitted")
        elif seen.admission.digest != admission.digest:
            told = list(_differing(Step.ADMIT, "record", admission.parts, seen.admission.parts))
            yield from told or [
                Difference(Step.ADMIT, "digest", admission.digest, seen.admission.digest)
            ]
    dns = remembered.dns
    if dns is not None and dns != seen.dns:
        found = _GONE if seen.dns is None else f"{seen.dns.target} (TTL {seen.dns.ttl})"
        yield Difference(Step.PUBLISH_DNS, dns.name, f"{dns.target} (TTL {dns.ttl})", found)


def _registration_parts(observed: ObservedNamespace) -> dict[str, str]:
    registration = observed.registration
    if registration is None:
        return {}
    return {"retention": str(registration.retention)} | {
        f"search attribute {name}": str(kind)
        for name, kind in registration.search_attributes.items()
    }


def _differing(
    step: Step, whole: str, wanted: dict[str, str], found: dict[str, str]
) -> Iterator[Difference]:
    """Compare part by part; what is there beyond what we made is the tenant's own."""
    if wanted and not found:
        yield Difference(step, whole, "as made", _GONE)
        return
    for what, value in wanted.items():
        if found.get(what) != value:
            yield Difference(step, what, value, found.get(what, _GONE))


def _fingerprint(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
