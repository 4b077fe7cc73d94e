"""What a namespace needs next, as tables and laws."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.ingress.records import CertificateFilter
from cells.placement import Placement
from provisioning import plan
from provisioning.types import (
    AdmissionFacts,
    CertificateFacts,
    DatabaseFacts,
    DnsFacts,
    NamespaceSpec,
    ObservedNamespace,
    ProofFacts,
    RegistrationFacts,
    SearchAttributeType,
    Step,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SPEC = NamespaceSpec("aws-us-east-1", timedelta(days=30), "a CA bundle")
CERTIFICATE = CertificateFacts(
    "orders.acme1.fleet.test", "f1", NOW, NOW + timedelta(days=90), ("ca",), NOW
)
DATABASE = DatabaseFacts("ns:orders.acme1", "ref", "ns:orders.acme1:a", NOW)
PARTS = ObservedNamespace(
    placement=Placement("aws-us-east-1", "c1", ()),
    database=DATABASE,
    certificate=CERTIFICATE,
    registration=RegistrationFacts("uuid", timedelta(days=30), {}),
)
WHOLE = replace(
    PARTS,
    admission=AdmissionFacts("d1", plan.admission_basis(SPEC, PARTS)),
    dns=DnsFacts("orders.acme1.fleet.test", "c1.cell.fleet.test", timedelta(seconds=15)),
    proof=ProofFacts("d1", NOW),
)
PART_OF = {
    Step.SELECT_CELL: "placement",
    Step.WRITE_DATABASE: "database",
    Step.ISSUE_CERTIFICATE: "certificate",
    Step.REGISTER: "registration",
    Step.ADMIT: "admission",
    Step.PUBLISH_DNS: "dns",
    Step.PROVE: "proof",
}

observations = st.sets(st.sampled_from(list(Step))).map(
    lambda missing: replace(WHOLE, **{PART_OF[step]: None for step in missing})
)


def test_a_namespace_comes_to_be_in_this_order() -> None:
    observed, taken = ObservedNamespace(), []
    while steps := plan.next_steps(SPEC, observed, NOW):
        taken.append(steps)
        observed = replace(observed, **{PART_OF[s]: getattr(WHOLE, PART_OF[s]) for s in steps})

    assert taken == [
        (Step.SELECT_CELL,),
        (Step.WRITE_DATABASE, Step.ISSUE_CERTIFICATE, Step.REGISTER),
        (Step.ADMIT,),
        (Step.PUBLISH_DNS,),
        (Step.PROVE,),
    ]
    assert observed == WHOLE


@given(observations)
def test_nothing_is_exposed_before_it_is_whole(observed: ObservedNamespace) -> None:
    steps = plan.next_steps(SPEC, observed, NOW)

    if Step.ADMIT in steps:
        assert None not in (observed.database, observed.certificate, observed.registration)
    if Step.PUBLISH_DNS in steps:
        assert observed.admission is not None
    if Step.PROVE in steps:
        assert observed.dns is not None


@given(observations)
def test_whatever_is_missing_is_brought_about_in_the_end(observed: ObservedNamespace) -> None:
    for _ in Step:
        steps = plan.next_steps(SPEC, observed, NOW)
        observed = replace(observed, **{PART_OF[s]: getattr(WHOLE, PART_OF[s]) for s in steps})

    assert plan.next_steps(SPEC, observed, NOW) == ()


@given(st.lists(st.sampled_from(list(Step)), unique=True))
def test_undoing_reaches_everything_in_reverse(attempted: list[Step]) -> None:
    undone: list[Step] = []
    while undos := plan.next_undos(standing := [s for s in attempted if s not in undone]):
        for step in undos:
            dependents = [s for s in standing if step in plan.NEEDS[s]]
            assert not dependents, f"{step} was undone under {dependents}"
        undone.extend(undos)

    assert sorted(undone) == sorted(attempted)


@pytest.mark.parametrize(
    ("spec", "observed", "now", "due"),
    [
        pytest.param(SPEC, WHOLE, NOW, (), id="nothing is due when all is as wanted"),
        pytest.param(
            SPEC,
            WHOLE,
            NOW + timedelta(days=61),
            (Step.WRITE_DATABASE, Step.ISSUE_CERTIFICATE),
            id="certificate and credential age",
        ),
        pytest.param(
            replace(SPEC, retention=timedelta(days=7)),
            WHOLE,
            NOW,
            (Step.REGISTER,),
            id="another retention is registered",
        ),
        pytest.param(
            replace(SPEC, search_attributes={"Customer": SearchAttributeType.KEYWORD}),
            WHOLE,
            NOW,
            (Step.REGISTER,),
            id="a new search attribute is registered",
        ),
        pytest.param(
            replace(SPEC, client_ca="another"),
            WHOLE,
            NOW,
            (Step.ADMIT,),
            id="another CA bundle is admitted",
        ),
        pytest.param(
            replace(SPEC, certificate_filters=(CertificateFilter(common_name="w-1"),)),
            WHOLE,
            NOW,
            (Step.ADMIT,),
            id="another filter is admitted",
        ),
        pytest.param(
            SPEC,
            replace(WHOLE, certificate=replace(CERTIFICATE, fingerprint="f2")),
            NOW,
            (Step.ADMIT,),
            id="a renewed certificate is admitted",
        ),
        pytest.param(
            SPEC,
            replace(WHOLE, proof=ProofFacts("d0", NOW)),
            NOW,
            (Step.PROVE,),
            id="what was admitted anew is proven anew",
        ),
    ],
)
def test_what_is_due(
    spec: NamespaceSpec, observed: ObservedNamespace, now: datetime, due: tuple[Step, ...]
) -> None:
    assert plan.next_steps(spec, observed, now) == due


def test_the_next_timer_is_the_first_thing_to_age() -> None:
    assert plan.next_due(ObservedNamespace()) is None
    assert plan.next_due(WHOLE) == NOW + plan.ROTATE_EVERY
    rotated = replace(WHOLE, database=replace(DATABASE, rotated_at=NOW + timedelta(days=50)))
    assert plan.next_due(rotated) == CERTIFICATE.not_after - plan.RENEW_BEFORE


def test_a_part_that_changed_or_went_is_forgotten_and_what_stands_on_it_proven_again() -> None:
    assert plan.still_true(WHOLE, WHOLE) == WHOLE

    for part in ("database", "certificate", "registration", "dns"):
        seen = plan.still_true(WHOLE, replace(WHOLE, **{part: None}))
        assert [f.name for f in fields(seen) if getattr(seen, f.name) is None] == [part]

    tampered = plan.still_true(WHOLE, replace(WHOLE, admission=AdmissionFacts("d2")))
    assert tampered.admission is None
    assert tampered.proof is None


@given(observations)
def test_what_is_left_over_is_named(observed: ObservedNamespace) -> None:
    looked_for = {
        step: part for step, part in PART_OF.items() if part not in ("placement", "proof")
    }

    assert plan.leftovers(observed) == tuple(
        step for step, part in looked_for.items() if getattr(observed, part) is not None
    )
