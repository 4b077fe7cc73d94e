"""What a namespace needs next. Pure: no clock, no I/O, no Temporal."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from provisioning.types import NamespaceSpec, ObservedNamespace, Step

RENEW_BEFORE = timedelta(days=30)
"""A server certificate is renewed when less than this is left of its life."""
ROTATE_EVERY = timedelta(days=30)
"""How long a namespace's database credential is the current one."""

NEEDS: dict[Step, tuple[Step, ...]] = {
    Step.SELECT_CELL: (),
    Step.WRITE_DATABASE: (Step.SELECT_CELL,),
    Step.ISSUE_CERTIFICATE: (Step.SELECT_CELL,),
    Step.REGISTER: (Step.SELECT_CELL,),
    # Nobody is let in before there is something whole to be let in to,
    Step.ADMIT: (Step.WRITE_DATABASE, Step.ISSUE_CERTIFICATE, Step.REGISTER),
    # and nobody is shown the way before somebody would be let in.
    Step.PUBLISH_DNS: (Step.ADMIT,),
    Step.PROVE: (Step.PUBLISH_DNS,),
}
"""What must be in place before a step is taken, and is undone only after it."""

TRACELESS = (Step.PROVE,)
"""Steps that leave nothing in the world, and so nothing to undo."""


def next_steps(spec: NamespaceSpec, observed: ObservedNamespace, now: datetime) -> tuple[Step, ...]:
    """Return the steps to take now, all at once; none when the namespace is as wanted."""
    due = [step for step in Step if _is_due(step, spec, observed, now)]
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
        certificate is not None and certificate.fingerprint != seen.certificate.fingerprint
    ):
        certificate = None
    admission = remembered.admission
    if seen.admission is None or (
        admission is not None and admission.digest != seen.admission.digest
    ):
        admission = None
    dns = remembered.dns
    return ObservedNamespace(
        placement=remembered.placement,
        database=None if seen.database is None else remembered.database,
        certificate=certificate,
        registration=seen.registration,
        admission=admission,
        dns=dns if dns == seen.dns else None,
        proof=None if admission is None else remembered.proof,
    )


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


def admission_basis(spec: NamespaceSpec, observed: ObservedNamespace) -> str:
    """Return a fingerprint of what the ingress is asked to enforce."""
    assert observed.certificate is not None, "admission comes after the certificate"
    asked = [
        observed.certificate.fingerprint,
        spec.client_ca,
        [vars(f) for f in spec.certificate_filters],
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _is_due(step: Step, spec: NamespaceSpec, observed: ObservedNamespace, now: datetime) -> bool:
    match step:
        case Step.SELECT_CELL:
            return observed.placement is None
        case Step.WRITE_DATABASE:
            return observed.database is None or now >= observed.database.rotated_at + ROTATE_EVERY
        case Step.ISSUE_CERTIFICATE:
            return (
                observed.certificate is None or now >= observed.certificate.not_after - RENEW_BEFORE
            )
        case Step.REGISTER:
            return observed.registration is None or not (
                observed.registration.retention == spec.retention
                and spec.search_attributes.items()
                <= observed.registration.search_attributes.items()
            )
        case Step.ADMIT:
            return (
                observed.admission is None
                or observed.certificate is None
                or observed.admission.basis != admission_basis(spec, observed)
            )
        case Step.PUBLISH_DNS:
            return observed.dns is None
        case Step.PROVE:
            return observed.proof is None or (
                observed.admission is not None
                and observed.proof.digest != observed.admission.digest
            )
