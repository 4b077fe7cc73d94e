import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from cells.ingress.gatekeeper.authorizer import prober_identity
from controlplane.errors import ErrorType
from provisioning.certificates import managed_ca
from provisioning.certificates.requests import check
from provisioning.certificates.x509 import new_ca
from provisioning.ports import Incarnation
from provisioning.types import SigningRequest

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
TARGET = Incarnation("orders.acme1", "uid-1", "aws-us-east-1-c1")
P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
SMALL_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what is to be refused

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def csr(
    subject: str = "CN=worker,OU=Payments,O=Acme",
    *,
    key: Key = P256,
    names: Sequence[x509.GeneralName] = (),
    extensions: Sequence[x509.ExtensionType] = (),
) -> str:
    builder = x509.CertificateSigningRequestBuilder(x509.Name.from_rfc4514_string(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def refusal(text: str, lifetime: timedelta = DAY) -> str:
    with pytest.raises(ApplicationError) as caught:
        check(text, lifetime)
    assert caught.value.type == ErrorType.INVALID_ARGUMENT
    return caught.value.message


def signed(text: str, lifetime: timedelta = DAY) -> x509.Certificate:
    request = SigningRequest("op-1", text, lifetime, NOW)
    issued = managed_ca.sign(managed_ca.make(TARGET), TARGET, request)
    return x509.load_pem_x509_certificate(issued.pem.encode())


def test_a_client_is_certified_as_what_it_says_it_is_and_as_nothing_more() -> None:
    names = [
        x509.DNSName("worker.acme.example"),
        x509.UniformResourceIdentifier("spiffe://acme/worker"),
        x509.RFC822Name("ops@acme.example"),
    ]
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])

    leaf = signed(csr(names=names, extensions=[usage]))

    assert leaf.subject.rfc4514_string() == "CN=worker,OU=Payments,O=Acme"
    extensions = leaf.extensions
    assert list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == names
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


@pytest.mark.parametrize("key", [P256, ec.generate_private_key(ec.SECP384R1()), RSA])
def test_the_usual_keys_are_certified(key: Key) -> None:
    assert signed(csr(key=key)).public_key() == key.public_key()


def test_a_certificate_ends_with_its_authority() -> None:
    ca = new_ca("Short", validity=2 * DAY)
    request = SigningRequest("op-1", csr(), 30 * DAY, NOW)

    issued = managed_ca.sign(ca, TARGET, request)

    assert issued.not_after == ca.certificate.not_valid_after_utc
    late = SigningRequest("op-1", csr(), 30 * DAY, NOW + 3 * DAY)
    with pytest.raises(ApplicationError, match="issues nothing any more"):
        managed_ca.sign(ca, TARGET, late)


def test_a_serial_is_positive_and_fits_what_others_can_read() -> None:
    leaf = signed(csr())

    assert 0 < leaf.serial_number < 2**159


@pytest.mark.parametrize("lifetime", [timedelta(minutes=59), timedelta(days=366), -DAY])
def test_lifetimes_have_limits(lifetime: timedelta) -> None:
    assert "ask for one hour to 365 days" in refusal(csr(), lifetime)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read: send PEM"),
        (csr()[:-60], "cannot be read: send PEM"),
        (csr() + "x" * 16384, "bytes; at most 16384 are allowed"),
        (f"-----BEGIN PRIVATE KEY-----\nx\n{csr()}", "comes with a private key"),
        (csr(key=SMALL_RSA), "has an RSA key of 1024 bits; 2048 to 8192"),
        (
            csr(key=ec.generate_private_key(ec.SECP256K1())),
            "has a key on secp256k1; secp256r1, secp384r1 are allowed",
        ),
        (csr(key=ed25519.Ed25519PrivateKey.generate()), "has neither an RSA nor an ECDSA key"),
        (csr("O=Acme"), "has 0 common names in its subject (O=Acme)"),
        (csr("CN=a,CN=b"), "has 2 common names"),
        (csr(f"CN=worker,O={'x' * 65}"), "has a O of 65 characters"),
        (csr("CN=wor\\0Aker"), "has unprintable characters"),
        (
            csr(extensions=[x509.BasicConstraints(ca=True, path_length=None)]),
            "asks for an authority (CA:true)",
        ),
        (
            csr(names=[x509.IPAddress(IPv4Address("10.0.0.1"))]),
            "has a subject alternative name of type IPAddress",
        ),
        (csr(names=[x509.DNSName(f"w{n}") for n in range(26)]), "has 26 subject alternative"),
    ],
    ids=lambda value: "request" if "-----BEGIN" in value else value,
)
def test_what_cannot_be_certified_is_refused_and_said(text: str, problem: str) -> None:
    assert problem in refusal(text)


@pytest.mark.parametrize(
    "uri",
    [
        prober_identity(TARGET.namespace),
        managed_ca.identity(TARGET),
        "ControlPlane://prober/orders.acme1",
        "controlplane:prober",
        "//[controlplane",
    ],
)
def test_nobody_is_certified_as_one_of_the_control_planes_own(uri: str) -> None:
    text = csr(names=[x509.UniformResourceIdentifier(uri)])

    assert "that scheme is reserved" in refusal(text)


def test_a_request_for_somebody_elses_key_is_refused() -> None:
    mine = x509.load_pem_x509_csr(csr().encode()).public_bytes(Encoding.DER)
    broken = bytearray(mine)
    broken[-1] ^= 1
    pem = x509.load_der_x509_csr(bytes(broken)).public_bytes(Encoding.PEM).decode()

    assert "is not signed with the key it names" in refusal(pem)


DER = x509.load_pem_x509_csr(csr(names=[x509.DNSName("w")]).encode()).public_bytes(Encoding.DER)


@settings(deadline=None)  # Other tests share the processors.
@given(
    position=st.integers(0, len(DER) - 1),
    replacement=st.binary(max_size=4),
    removed=st.integers(0, 4),
)
def test_a_mutated_request_is_refused_and_breaks_nothing(
    position: int, replacement: bytes, removed: int
) -> None:
    mutated = DER[:position] + replacement + DER[position + removed :]
    if mutated != DER:
        assert refusal(_pem(mutated))


def _pem(der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
