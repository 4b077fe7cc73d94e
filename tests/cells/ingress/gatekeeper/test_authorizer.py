from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cells.ingress.gatekeeper.authorizer import Allowed, Refused, authorize, prober_identity
from cells.ingress.records import CertificateFilter, IngressRecord
from tests.cells.ingress.authorities import Authority, Credential

NAMESPACE = "orders.acme1"
NOW = datetime.now(UTC)
TENANT = Authority.create("tenant")
SUCCESSOR = Authority.create("tenant")
STRANGER = Authority.create("stranger")
PROBER = Authority.create("prober")
INTERMEDIATE = Authority.create("intermediate", TENANT)
RECORD = IngressRecord(
    namespace=NAMESPACE,
    uid="u1",
    server_name=f"{NAMESPACE}.fleet.test",
    admitted=True,
    client_ca=TENANT.pem,
    certificate_filters=(),
    certificate_chain="",
    sealed_key=b"",
)


def verdict(
    credential: Credential, record: IngressRecord | None = RECORD, now: datetime = NOW
) -> Allowed | Refused:
    return authorize(record, credential.certificate, PROBER.pem, now)


def reason(decision: Allowed | Refused) -> str:
    assert isinstance(decision, Refused)
    return decision.reason


def prober(namespace: str) -> Credential:
    return PROBER.client(
        "prober", names=[x509.UniformResourceIdentifier(prober_identity(namespace))]
    )


def test_a_client_of_the_namespaces_ca_is_allowed() -> None:
    assert verdict(TENANT.client()) == Allowed(NAMESPACE, prober=False)


def test_each_ca_of_a_bundle_is_trusted() -> None:
    rotating = replace(RECORD, client_ca=TENANT.pem + SUCCESSOR.pem)

    assert verdict(TENANT.client(), rotating) == Allowed(NAMESPACE, prober=False)
    assert verdict(SUCCESSOR.client(), rotating) == Allowed(NAMESPACE, prober=False)


def test_an_intermediate_vouches_only_if_it_is_in_the_bundle() -> None:
    with_intermediate = replace(RECORD, client_ca=TENANT.pem + INTERMEDIATE.pem)

    assert "vouches" in reason(verdict(INTERMEDIATE.client()))
    assert verdict(INTERMEDIATE.client(), with_intermediate) == Allowed(NAMESPACE, prober=False)


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
        pytest.param(Credential("", ""), "cannot be read", id="none"),
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
        pytest.param(replace(RECORD, client_ca=""), "no CA bundle", id="without a bundle"),
    ],
)
def test_a_good_certificate_is_refused_by_a_namespace(
    record: IngressRecord | None, why: str
) -> None:
    assert why in reason(verdict(TENANT.client(), record))


def test_the_prober_is_allowed_whatever_the_namespaces_own_bundle_and_filters() -> None:
    strict = replace(
        RECORD, client_ca="", certificate_filters=(CertificateFilter(common_name="nobody"),)
    )

    assert verdict(prober(NAMESPACE), strict) == Allowed(NAMESPACE, prober=True)


def test_a_tenants_certificate_with_a_probers_name_is_only_a_tenants() -> None:
    names = [x509.UniformResourceIdentifier(prober_identity("pay.globex"))]

    assert verdict(TENANT.client(names=names)) == Allowed(NAMESPACE, prober=False)


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
    record = replace(RECORD, certificate_filters=tuple(filters))

    assert verdict(CLIENT, record) == Allowed(NAMESPACE, prober=False)


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
    record = replace(RECORD, certificate_filters=tuple(filters))

    assert "filter" in reason(verdict(CLIENT, record))


def test_a_field_that_the_certificate_lacks_matches_only_an_empty_pattern() -> None:
    record = replace(RECORD, certificate_filters=(CertificateFilter(organization="*"),))

    assert "filter" in reason(verdict(TENANT.client(), record))
