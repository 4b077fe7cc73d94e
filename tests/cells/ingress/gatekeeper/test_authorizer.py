from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cells.ingress.gatekeeper.authorities import authority_id
from cells.ingress.gatekeeper.authorizer import (
    Allowed,
    KeyNeeded,
    OurAuthorities,
    PeerAllowed,
    ProberAllowed,
    Refused,
    authorize,
    peer_identity,
    prober_identity,
    serial_of,
)
from cells.ingress.records import AdmissionRules, CertificateFilter, IngressRecord
from tests.cells.ingress.authorities import Authority, Credential

NAMESPACE = "orders.acme1"
NOW = datetime.now(UTC)
TENANT = Authority.create("tenant")
SUCCESSOR = Authority.create("tenant")
STRANGER = Authority.create("stranger")
PROBER, PEER = Authority.create("prober"), Authority.create("peer")
INTERMEDIATE = Authority.create("intermediate", TENANT)
RECORD = IngressRecord(
    namespace=NAMESPACE,
    uid="u1",
    server_name=f"{NAMESPACE}.fleet.test",
    admitted=True,
    rules=AdmissionRules(client_ca=TENANT.pem),
    certificate_chain="",
    sealed_key=b"",
)


Decision = Allowed | ProberAllowed | PeerAllowed | KeyNeeded | Refused


def verdict(
    credential: Credential, record: IngressRecord | None = RECORD, now: datetime = NOW
) -> Decision:
    ours = OurAuthorities(PROBER.pem, PEER.pem)
    return authorize(record, credential.certificate, ours, now)


def allowed(client: Credential, authority: Authority) -> Allowed:
    """Return what a client of the authority is allowed."""
    serial = serial_of(x509.load_pem_x509_certificate(client.certificate.encode()))
    return Allowed(NAMESPACE, serial, authority_id(authority.certificate))


def peer(*cells: str) -> Credential:
    names = [x509.UniformResourceIdentifier(peer_identity(cell)) for cell in cells]
    return PEER.client("ingress", names=names)


def reason(decision: Decision) -> str:
    assert isinstance(decision, Refused)
    return decision.reason


def prober(namespace: str) -> Credential:
    return PROBER.client(
        "prober", names=[x509.UniformResourceIdentifier(prober_identity(namespace))]
    )


def test_a_client_of_the_namespaces_ca_is_allowed() -> None:
    client = TENANT.client()

    assert verdict(client) == allowed(client, TENANT)


def test_each_ca_of_a_bundle_is_trusted() -> None:
    rotating = replace(RECORD, rules=AdmissionRules(TENANT.pem + SUCCESSOR.pem))

    for authority in (TENANT, SUCCESSOR):
        client = authority.client()
        assert verdict(client, rotating) == allowed(client, authority)


def test_an_intermediate_vouches_only_if_it_is_in_the_bundle() -> None:
    with_intermediate = replace(RECORD, rules=AdmissionRules(TENANT.pem + INTERMEDIATE.pem))

    client = INTERMEDIATE.client()
    assert "vouches" in reason(verdict(client))
    assert verdict(client, with_intermediate) == allowed(client, INTERMEDIATE)


def test_a_client_certificate_is_no_authority() -> None:
    client = TENANT.client()
    impostor = Authority(
        x509.load_pem_x509_certificate(client.certificate.encode()), STRANGER.private_key
    )

    assert "vouches" in reason(verdict(impostor.client()))


@pytest.mark.parametrize(
    ("credential", "why"),
    [
        pytest.param(STRANGER.client(), "vouches", id="another CA"),
        pytest.param(SUCCESSOR.client(), "vouches", id="another CA of the same name"),
        pytest.param(TENANT.client(ends_in=timedelta(seconds=-1)), "expired", id="expired"),
        pytest.param(TENANT.client(starts_in=timedelta(minutes=1)), "starts", id="not yet valid"),
        pytest.param(
            TENANT.client(usage=ExtendedKeyUsageOID.SERVER_AUTH),
            "client authentication",
            id="server",
        ),
        pytest.param(Credential("", ""), "shows no certificate", id="none"),
        pytest.param(
            Credential("-----BEGIN CERTIFICATE-----\nAAAA", ""), "cannot be read", id="junk"
        ),
        pytest.param(prober("pay.globex"), "another namespace", id="another namespace's prober"),
        pytest.param(PROBER.client("prober"), "another namespace", id="a prober of no namespace"),
    ],
)
def test_a_certificate_is_refused(credential: Credential, why: str) -> None:
    assert why in reason(verdict(credential))


def test_a_certificate_is_refused_once_its_ca_has_expired() -> None:
    client = TENANT.client(ends_in=timedelta(days=500))

    assert "vouches" in reason(verdict(client, now=NOW + timedelta(days=450)))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        pytest.param(None, "no namespace", id="unknown"),
        pytest.param(replace(RECORD, admitted=False), "not admitted", id="not admitted"),
        pytest.param(
            replace(RECORD, rules=AdmissionRules()), "no CA bundle", id="without a bundle"
        ),
    ],
)
def test_a_good_certificate_is_refused_by_a_namespace(
    record: IngressRecord | None, why: str
) -> None:
    assert why in reason(verdict(TENANT.client(), record))


def test_the_prober_is_allowed_whatever_the_namespaces_own_bundle_and_filters() -> None:
    rules = AdmissionRules(certificate_filters=(CertificateFilter(common_name="nobody"),))
    strict = replace(RECORD, rules=rules)

    assert verdict(prober(NAMESPACE), strict) == ProberAllowed(NAMESPACE)


def test_a_tenants_certificate_with_a_probers_name_is_only_a_tenants() -> None:
    names = [x509.UniformResourceIdentifier(prober_identity("pay.globex"))]

    client = TENANT.client(names=names)
    assert verdict(client) == allowed(client, TENANT)


CLIENT = TENANT.client(
    "Worker-1",
    organization="Acme Ltd",
    organizational_unit="Payments",
    names=[
        x509.DNSName("worker-1.acme.example"),
        x509.RFC822Name("ops@acme.example"),
        x509.UniformResourceIdentifier("spiffe://acme/worker"),
    ],
)


@pytest.mark.parametrize(
    "filters",
    [
        [CertificateFilter()],
        [CertificateFilter(common_name="worker-1")],
        [CertificateFilter(common_name="WORKER-*")],
        [CertificateFilter(common_name="*-1")],
        [CertificateFilter(common_name="*")],
        [CertificateFilter(organization="acme ltd", organizational_unit="PAYMENTS")],
        [CertificateFilter(subject_alternative_name="*.acme.example")],
        [CertificateFilter(subject_alternative_name="OPS@acme.example")],
        [CertificateFilter(subject_alternative_name="spiffe://acme/*")],
        [CertificateFilter(common_name="other"), CertificateFilter(organization="Acme*")],
    ],
)
def test_a_client_that_matches_one_filter_is_allowed(filters: list[CertificateFilter]) -> None:
    record = replace(RECORD, rules=AdmissionRules(TENANT.pem, tuple(filters)))

    assert verdict(CLIENT, record) == allowed(CLIENT, TENANT)


@pytest.mark.parametrize(
    "filters",
    [
        [CertificateFilter(common_name="worker")],
        [CertificateFilter(common_name="w*1")],
        [CertificateFilter(common_name="*orker*")],
        [CertificateFilter(common_name="Worker-1", organization="Other")],
        [CertificateFilter(organizational_unit="Acme Ltd")],
        [CertificateFilter(subject_alternative_name="acme.example")],
        [CertificateFilter(common_name="other"), CertificateFilter(organization="other")],
    ],
)
def test_a_client_that_matches_no_filter_is_refused(filters: list[CertificateFilter]) -> None:
    record = replace(RECORD, rules=AdmissionRules(TENANT.pem, tuple(filters)))

    assert "filter" in reason(verdict(CLIENT, record))


def test_a_field_that_the_certificate_lacks_matches_only_an_empty_pattern() -> None:
    rules = AdmissionRules(TENANT.pem, (CertificateFilter(organization="*"),))
    record = replace(RECORD, rules=rules)

    assert "filter" in reason(verdict(TENANT.client(), record))


def test_a_revoked_serial_is_refused_and_no_other() -> None:
    revoked, other = TENANT.client(), TENANT.client()
    serial = allowed(revoked, TENANT).serial
    record = replace(RECORD, rules=AdmissionRules(TENANT.pem, revoked_serials=(serial,)))

    assert reason(verdict(revoked, record)) == f"the client certificate {serial} is revoked"
    assert verdict(other, record) == allowed(other, TENANT)


def test_a_serial_is_hexadecimal_without_leading_zeros() -> None:
    certificate = x509.load_pem_x509_certificate(TENANT.client().certificate.encode())

    assert int(serial_of(certificate), 16) == certificate.serial_number
    assert serial_of(certificate) == serial_of(certificate).lower().lstrip("0")


KEYED = replace(RECORD, rules=AdmissionRules(TENANT.pem, api_keys=True))


@pytest.mark.parametrize(
    ("credential", "why"),
    [
        pytest.param(Credential("", ""), "shows no certificate", id="none"),
        pytest.param(STRANGER.client(), "vouches", id="another CA"),
        pytest.param(TENANT.client(ends_in=timedelta(seconds=-1)), "expired", id="expired"),
        pytest.param(prober("pay.globex"), "another namespace", id="another namespace's prober"),
    ],
)
def test_where_keys_are_taken_whoever_has_no_good_certificate_needs_one(
    credential: Credential, why: str
) -> None:
    decision = verdict(credential, KEYED)

    assert isinstance(decision, KeyNeeded)
    assert decision.namespace == NAMESPACE
    assert why in decision.because


def test_another_cell_gets_in_where_the_namespace_has_an_admitted_record() -> None:
    cell = peer("aws-us-west-2-c1")

    for record in (RECORD, KEYED, replace(RECORD, rules=AdmissionRules())):
        assert verdict(cell, record) == PeerAllowed(NAMESPACE, "aws-us-west-2-c1")
    assert isinstance(verdict(cell, None), Refused)
    assert isinstance(verdict(cell, replace(RECORD, admitted=False)), Refused)


def test_a_cell_names_itself_and_no_other() -> None:
    for credential in (peer(), peer("east", "west")):
        assert "has to name one cell" in reason(verdict(credential))


def test_nobody_is_a_cell_by_saying_so() -> None:
    name = x509.UniformResourceIdentifier(peer_identity("aws-us-west-2-c1"))

    client = TENANT.client("ingress", names=[name])
    assert verdict(client) == allowed(client, TENANT)
    for authority in (STRANGER, PROBER):
        assert isinstance(verdict(authority.client("ingress", names=[name])), Refused)


def test_a_tenant_that_trusts_the_authority_of_cells_takes_no_cell_for_a_client() -> None:
    """Passed on as a client's, a request would go from cell to cell without end."""
    record = replace(RECORD, rules=AdmissionRules(TENANT.pem + PEER.pem))

    assert verdict(peer("west"), record) == PeerAllowed(NAMESPACE, "west")


def test_a_good_certificate_needs_no_key() -> None:
    client = TENANT.client()

    assert verdict(client, KEYED) == allowed(client, TENANT)
    assert verdict(prober(NAMESPACE), KEYED) == ProberAllowed(NAMESPACE)


def test_a_namespace_that_is_not_admitted_takes_no_keys() -> None:
    closed = replace(KEYED, admitted=False)

    assert "not admitted" in reason(verdict(Credential("", ""), closed))
