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
    IngressPolicy,
    NamespaceCondition,
    NamespaceSpec,
    ObservedNamespace,
    ProofFacts,
    RegistrationFacts,
    Rename,
    SearchAttributeType,
    Step,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SPEC = NamespaceSpec("aws-us-east-1", timedelta(days=30), "a CA bundle")
WANTED = plan.Wanted(SPEC)
CERTIFICATE = CertificateFacts(
    "orders.acme1.fleet.test",
    "f1",
    NOW,
    NOW + timedelta(days=90),
    ("ca",),
    NOW + timedelta(days=365),
    trust=plan.trust_basis(WANTED.trust),
)
DATABASE = DatabaseFacts("ns:orders.acme1", "ref", "ns:orders.acme1:a", NOW)


def wanting(**changes: object) -> plan.Wanted:
    return replace(WANTED, spec=replace(SPEC, **changes))  # type: ignore[arg-type]


PARTS = ObservedNamespace(
    placement=Placement("aws-us-east-1", "c1", ()),
    database=DATABASE,
    certificate=CERTIFICATE,
    registration=RegistrationFacts("uuid", timedelta(days=30), {}),
)
WHOLE = replace(
    PARTS,
    admission=AdmissionFacts("d1", plan.admission_basis(WANTED, PARTS)),
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
    while steps := plan.next_steps(WANTED, observed, NOW):
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
    steps = plan.next_steps(WANTED, observed, NOW)

    if Step.ADMIT in steps:
        assert None not in (observed.database, observed.certificate, observed.registration)
    if Step.PUBLISH_DNS in steps:
        assert observed.admission is not None
    if Step.PROVE in steps:
        assert observed.dns is not None


@given(observations)
def test_whatever_is_missing_is_brought_about_in_the_end(observed: ObservedNamespace) -> None:
    for _ in Step:
        steps = plan.next_steps(WANTED, observed, NOW)
        observed = replace(observed, **{PART_OF[s]: getattr(WHOLE, PART_OF[s]) for s in steps})

    assert plan.next_steps(WANTED, observed, NOW) == ()


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
    ("wanted", "observed", "now", "due"),
    [
        pytest.param(WANTED, WHOLE, NOW, (), id="nothing is due when all is as wanted"),
        pytest.param(
            WANTED,
            WHOLE,
            NOW + timedelta(days=61),
            (Step.WRITE_DATABASE, Step.ISSUE_CERTIFICATE),
            id="certificate and credential age",
        ),
        pytest.param(
            wanting(retention=timedelta(days=7)),
            WHOLE,
            NOW,
            (Step.REGISTER,),
            id="another retention is registered",
        ),
        pytest.param(
            wanting(search_attributes={"Customer": SearchAttributeType.KEYWORD}),
            WHOLE,
            NOW,
            (Step.REGISTER,),
            id="a new search attribute is registered",
        ),
        pytest.param(
            wanting(client_ca="another"),
            WHOLE,
            NOW,
            (Step.ISSUE_CERTIFICATE,),
            id="another CA bundle is checked before it is admitted",
        ),
        pytest.param(
            wanting(certificate_filters=(CertificateFilter(common_name="w-1"),)),
            WHOLE,
            NOW,
            (Step.ADMIT,),
            id="another filter is admitted",
        ),
        pytest.param(
            wanting(managed_ca=True),
            WHOLE,
            NOW,
            (Step.ISSUE_CERTIFICATE,),
            id="a managed CA is made",
        ),
        pytest.param(
            wanting(api_keys=True),
            WHOLE,
            NOW,
            (Step.ADMIT,),
            id="API keys are admitted",
        ),
        pytest.param(
            replace(WANTED, policy=IngressPolicy(requests_per_second=10)),
            WHOLE,
            NOW,
            (Step.ADMIT,),
            id="a request limit is enforced",
        ),
        pytest.param(
            replace(WANTED, policy=IngressPolicy(revoked_serials=("a1",))),
            WHOLE,
            NOW,
            (Step.ADMIT,),
            id="a revocation is enforced",
        ),
        pytest.param(
            replace(WANTED, renames=(Rename("op2", "Customer", "Buyer"),)),
            WHOLE,
            NOW,
            (Step.REGISTER,),
            id="a search attribute is renamed",
        ),
        pytest.param(
            wanting(delete_protection=True, declaration="other"),
            WHOLE,
            NOW,
            (),
            id="what only the control plane knows needs no step",
        ),
        pytest.param(
            WANTED,
            replace(WHOLE, certificate=replace(CERTIFICATE, fingerprint="f2")),
            NOW,
            (Step.ADMIT,),
            id="a renewed certificate is admitted",
        ),
        pytest.param(
            WANTED,
            replace(WHOLE, proof=ProofFacts("d0", NOW)),
            NOW,
            (Step.PROVE,),
            id="what was admitted anew is proven anew",
        ),
    ],
)
def test_what_is_due(
    wanted: plan.Wanted, observed: ObservedNamespace, now: datetime, due: tuple[Step, ...]
) -> None:
    assert plan.next_steps(wanted, observed, now) == due


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

    foreign = replace(WHOLE, certificate=replace(CERTIFICATE, managed_ca="another CA's PEM"))
    assert plan.still_true(WHOLE, foreign).certificate is None

    flawed = plan.still_true(WHOLE, replace(WHOLE, database=replace(DATABASE, flaw="no login")))
    assert flawed.database is None

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


def test_nothing_differs_from_what_is_seen_as_it_was_made() -> None:
    assert plan.differences(WHOLE, WHOLE) == ()


@pytest.mark.parametrize(
    ("seen", "step", "what", "found"),
    [
        (replace(WHOLE, database=None), Step.WRITE_DATABASE, "record", "nothing"),
        (
            replace(WHOLE, database=replace(DATABASE, flaw="the login may not log in")),
            Step.WRITE_DATABASE,
            "record",
            "the login may not log in",
        ),
        (replace(WHOLE, certificate=None), Step.ISSUE_CERTIFICATE, "certificate", "nothing"),
        (
            replace(WHOLE, certificate=replace(CERTIFICATE, fingerprint="f2")),
            Step.ISSUE_CERTIFICATE,
            "certificate",
            "f2",
        ),
        (
            replace(WHOLE, certificate=replace(CERTIFICATE, managed_ca="another CA's PEM")),
            Step.ISSUE_CERTIFICATE,
            "managed CA",
            "another",
        ),
        (replace(WHOLE, registration=None), Step.REGISTER, "namespace", "nothing"),
        (
            replace(WHOLE, registration=RegistrationFacts("uuid", timedelta(days=1), {})),
            Step.REGISTER,
            "retention",
            "1 day, 0:00:00",
        ),
        (replace(WHOLE, admission=None), Step.ADMIT, "admission", "not admitted"),
        (
            replace(WHOLE, admission=AdmissionFacts("d2", parts={"api_keys": "True"})),
            Step.ADMIT,
            "api_keys",
            "True",
        ),
        (replace(WHOLE, admission=AdmissionFacts("d2")), Step.ADMIT, "digest", "d2"),
        (replace(WHOLE, dns=None), Step.PUBLISH_DNS, "orders.acme1.fleet.test", "nothing"),
    ],
)
def test_what_differs_is_told_part_by_part(
    seen: ObservedNamespace, step: Step, what: str, found: str
) -> None:
    made = WHOLE
    if what == "api_keys":
        made = replace(WHOLE, admission=AdmissionFacts("d1", parts={"api_keys": "False"}))

    (difference,) = plan.differences(made, seen)

    assert (difference.step, difference.what, difference.found) == (step, what, found)
    assert difference.wanted != found


def test_what_a_tenant_added_itself_is_no_difference() -> None:
    assert WHOLE.registration is not None
    added = replace(WHOLE.registration, search_attributes={"Own": SearchAttributeType.TEXT})

    assert plan.differences(WHOLE, replace(WHOLE, registration=added)) == ()


def test_renames_are_traced_back_one_through_another() -> None:
    spec = replace(SPEC, search_attributes={"C": SearchAttributeType.INT})

    former = plan.attributes_before(spec, (Rename("op2", "A", "B"), Rename("op3", "B", "C")))

    assert former == {"A": SearchAttributeType.INT}


@pytest.mark.parametrize(
    ("days", "client_ca", "server"),
    [
        (0, "Valid", "Valid"),
        (66, "Valid", "Valid"),
        (67, "Valid", "ExpiresSoon"),
        (90, "Valid", "Expired"),
        (334, "Valid", "Expired"),
        (335, "ExpiresSoon", "Expired"),
        (365, "Expired", "Expired"),
    ],
)
def test_what_is_about_to_expire_is_said_in_time(days: int, client_ca: str, server: str) -> None:
    found = plan.validity(WHOLE, NOW + timedelta(days=days))

    assert {validity.condition: validity.reason for validity in found} == {
        NamespaceCondition.CLIENT_CA_VALID: client_ca,
        NamespaceCondition.CERTIFICATE_VALID: server,
    }
    assert all((v.status == "True") == (v.reason == "Valid") for v in found)


def test_a_namespace_without_a_ca_bundle_has_none_that_expires() -> None:
    without = replace(WHOLE, certificate=replace(CERTIFICATE, client_ca_not_after=None))

    assert [v.condition for v in plan.validity(without, NOW)] == [
        NamespaceCondition.CERTIFICATE_VALID
    ]
