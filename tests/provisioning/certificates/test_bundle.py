import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from provisioning.certificates.bundle import (
    MOST_BYTES,
    CaBundle,
    ExpiredCa,
    check,
    require_filters,
)
from provisioning.certificates.public_authorities import PublicAuthorities
from provisioning.certificates.x509 import CertificateAndKey, issue_client, new_ca

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SMALL_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what is to be refused
VERSION_1 = """
-----BEGIN CERTIFICATE-----
MIIBKDCBzwIUJaK0MXgl+T9+O33X3SK8y5KRBA4wCgYIKoZIzj0EAwIwFjEUMBIG
A1UEAwwLVmVyc2lvbiBvbmUwIBcNMjYxMTIxMjMzNTM3WhgPMjEyNjEwMjgyMzM1
MzdaMBYxFDASBgNVBAMMC1ZlcnNpb24gb25lMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEF9L1RVbG2sytvoBhCezHj6pdc3Q4f7pIOc1aUrg543n+NWQaf8BHF4oL
fyxlt/DOX8TZ71Sq5c17SRaD46htnjAKBggqhkjOPQQDAgNIADBFAiAdenxmZkME
LeSRAwIW7zGEdD4mr+fWBLP2mDvm/QGRkQIhAKjHLiiLs+vmoL/TaQKj5hRGgimq
sb6pxw/y5FPnY8VM
-----END CERTIFICATE-----
"""  # By `openssl x509 -req` without extensions; our library makes no such certificates.
RSA = rsa.generate_private_key(65537, 2048)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def ca(name: str, days: float = 365) -> CertificateAndKey:
    return new_ca(name, validity=timedelta(days=days))


def pem(*authorities: CertificateAndKey) -> str:
    return "".join(authority.certificate_pem.decode() for authority in authorities)


def unusual(
    key: Key,
    algorithm: hashes.HashAlgorithm | None = hashes.SHA256(),  # noqa: B008 - stateless
    extensions: Sequence[x509.ExtensionType] = (x509.BasicConstraints(True, None),),
) -> str:
    name = x509.Name.from_rfc4514_string("CN=Unusual")
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    signed = builder.sign(key, algorithm)  # type: ignore[arg-type]  # None goes with Ed25519.
    return signed.public_bytes(Encoding.PEM).decode()


def refusal(text: str, expired: ExpiredCa = ExpiredCa.WARN) -> str:
    with pytest.raises(ApplicationError) as caught:
        check(text, datetime.now(UTC), expired)
    assert caught.value.type == ErrorType.INVALID_ARGUMENT
    assert "PRIVATE KEY" not in caught.value.message
    return caught.value.message


def test_a_good_bundle_tells_its_certificates_and_first_expiry() -> None:
    old, new = ca("Old", days=10), ca("New", days=100)

    bundle = check(pem(new, old), NOW)

    assert bundle.fingerprints == (new.fingerprint, old.fingerprint)
    assert [certificate.subject for certificate in bundle.certificates] == ["CN=New", "CN=Old"]
    assert bundle.not_after == old.certificate.not_valid_after_utc
    assert bundle.warnings == ()


def test_text_around_the_certificates_is_left_out() -> None:
    authority = ca("Mine")
    text = f"subject=CN = Mine\r\n{pem(authority)}\n\n# the end -- really".replace("\n", "\r\n")

    assert check(text, NOW).pem == pem(authority)


def test_what_was_normalised_stays_as_it_is() -> None:
    once = check(pem(ca("A"), ca("B")), NOW)

    assert check(once.pem, NOW) == once


def test_an_expired_authority_is_accepted_with_a_warning() -> None:
    bundle = check(pem(ca("Good"), ca("Gone", days=-0.001)), datetime.now(UTC))

    (warning,) = bundle.warnings
    assert warning.startswith("certificate 2 (CN=Gone) expired at ")
    assert warning.endswith("until you replace it")


def test_an_expired_authority_is_refused_where_the_policy_says_so() -> None:
    message = refusal(pem(ca("Gone", days=-0.001)), ExpiredCa.REFUSE)

    assert "certificate 1 (CN=Gone) expired at " in message


@pytest.mark.parametrize(
    "text", ["", "no certificate here", base64.b64encode(b"-----BEGIN").decode()]
)
def test_text_without_a_certificate_is_refused(text: str) -> None:
    assert "holds no certificate: send PEM" in refusal(text)


def test_a_leaf_is_refused() -> None:
    leaf = issue_client(ca("Mine"), "worker", validity=DAY)

    assert "certificate 2 (CN=worker) is not an authority (CA:true)" in refusal(
        pem(ca("Other"), leaf)
    )


def test_a_private_key_is_refused_and_not_repeated() -> None:
    message = refusal(ca("Mine").to_pem().decode())

    assert "holds a private key: send certificates only, and replace that authority" in message


def test_another_kind_of_block_is_refused() -> None:
    text = pem(ca("Mine")).replace("CERTIFICATE", "TRUSTED CERTIFICATE")

    assert "holds a 'TRUSTED CERTIFICATE' block" in refusal(text)


def test_a_certificate_that_was_cut_off_is_refused() -> None:
    text = pem(ca("A"), ca("B"))

    assert "begins 2 certificates and ends 1 of them" in refusal(text[:-40])


def test_damaged_base64_is_refused_by_number() -> None:
    lines = pem(ca("A")).splitlines()
    damaged = "\n".join([lines[0], *lines[2:]])

    assert "certificate 2 cannot be read: export it anew" in refusal(pem(ca("B")) + damaged)


def test_a_duplicate_is_named() -> None:
    twice, other = ca("Twice"), ca("Other")

    assert "certificate 3 (CN=Twice) is the same as certificate 1 (CN=Twice): remove it" in refusal(
        pem(twice, other, twice)
    )


def test_a_name_may_appear_once_whatever_its_case() -> None:
    message = refusal(pem(ca("Clients"), ca("CLIENTS")))

    assert "certificate 2 (CN=CLIENTS) has the subject of certificate 1 (CN=Clients)" in message


def test_an_authority_made_anew_with_its_key_takes_the_place_of_the_old_one() -> None:
    old = unusual(RSA)
    message = refusal(old + unusual(RSA, hashes.SHA512()))

    assert (
        "certificate 2 (CN=Unusual) is certificate 1 (CN=Unusual) made anew with the same key: "
        "keep the one that is valid longer"
    ) in message


def test_a_public_authority_needs_filters_and_a_private_one_does_not() -> None:
    root = Path(certifi.where()).read_text()
    root = root[root.index("-----BEGIN") : root.index("-----END CERTIFICATE-----") + 26]

    mixed = check(pem(ca("Mine")) + root, NOW)

    assert len(mixed.public) == 1
    with pytest.raises(ApplicationError, match=r"a public authority \(.*\), which") as e:
        require_filters(mixed)
    assert e.value.type == ErrorType.INVALID_ARGUMENT
    require_filters(check(pem(ca("Mine")), NOW))


def test_an_authority_that_a_public_one_has_certified_is_public() -> None:
    root, foreign = ca("Root"), ca("Root")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=Intermediate")

    def certified_by(issuer: CertificateAndKey) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer.certificate.subject, name, key.public_key(), 1, NOW - DAY, NOW + DAY
        )
        return builder.sign(issuer.key, hashes.SHA256())

    public = PublicAuthorities(root.certificate_pem)
    assert public.include(root.certificate)
    assert public.include(certified_by(root))
    assert not public.include(foreign.certificate)
    assert not public.include(certified_by(foreign))


def test_everything_wrong_is_said_at_once() -> None:
    leaf = issue_client(ca("Mine"), "worker", validity=DAY)

    message = refusal(pem(leaf) + unusual(SMALL_RSA))

    assert "certificate 1 (CN=worker) is not an authority" in message
    assert "certificate 2 (CN=Unusual) has an RSA key of 1024 bits" in message


def test_sixteen_certificates_are_the_limit() -> None:
    authorities = [ca(f"CA {number}") for number in range(17)]

    assert len(check(pem(*authorities[:16]), NOW).certificates) == 16
    assert "holds 17 certificates; at most 16 are allowed" in refusal(pem(*authorities))


def test_thirty_two_kilobytes_are_the_limit() -> None:
    text = pem(ca("Mine"))

    assert check(text.ljust(MOST_BYTES), NOW).pem == text
    assert f"has {MOST_BYTES + 1} bytes; at most 32768 are allowed" in refusal(
        text.ljust(MOST_BYTES + 1)
    )


def key_usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, key_cert_sign, False, False, False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (unusual(SMALL_RSA), "has an RSA key of 1024 bits; 2048 to 8192 are allowed"),
        (
            unusual(ec.generate_private_key(ec.SECP256K1())),
            "has a key on secp256k1; secp256r1, secp384r1, secp521r1 are allowed",
        ),
        (
            unusual(ed25519.Ed25519PrivateKey.generate(), None),
            "has neither an RSA nor an ECDSA key: use one of them",
        ),
        (
            unusual(ed25519.Ed25519PrivateKey.generate(), None),
            "is not signed with RSA or ECDSA",
        ),
        (unusual(RSA, hashes.SHA224()), "is signed with sha224: use SHA-256 or stronger"),
        (unusual(RSA, extensions=()), "is not an authority (CA:true)"),
        (
            unusual(
                RSA,
                extensions=(
                    x509.BasicConstraints(True, None),
                    key_usage(key_cert_sign=False),
                ),
            ),
            "may not sign certificates: add keyCertSign to its key usage",
        ),
    ],
    ids=lambda value: value if "BEGIN" not in value else "",
)
def test_a_weak_or_unfit_authority_is_refused(text: str, problem: str) -> None:
    assert f"certificate 1 (CN=Unusual) {problem}" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        unusual(RSA),
        unusual(RSA, hashes.SHA512()),
        unusual(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
        unusual(RSA, extensions=(x509.BasicConstraints(True, None), key_usage(key_cert_sign=True))),
    ],
    ids=["RSA", "RSA with SHA-512", "P-384", "RSA with key usage"],
)
def test_authorities_made_elsewhere_are_accepted(text: str) -> None:
    assert check(text, NOW).warnings == ()


GOOD = ca("Good")
DER = GOOD.certificate.public_bytes(Encoding.DER)


def test_a_certificate_whose_issuer_cannot_be_read_is_refused() -> None:
    value = DER.index(GOOD.certificate.issuer.public_bytes()) + 11  # Of its one name: a type tag.
    body = base64.encodebytes(DER[:value] + b"\xed" + DER[value + 1 :]).decode()

    message = refusal(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")

    assert "certificate 1 (CN=Good) cannot be read: export it anew as X.509v3 PEM" in message


# Of what is odd, and legal, such as a country of four letters.
@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(deadline=None)  # Other tests share the processors.
@given(
    position=st.integers(0, len(DER) - 1),
    replacement=st.binary(max_size=4),
    removed=st.integers(0, 4),
)
def test_a_mutated_certificate_is_accepted_or_refused_but_breaks_nothing(
    position: int, replacement: bytes, removed: int
) -> None:
    mutated = DER[:position] + replacement + DER[position + removed :]
    body = base64.encodebytes(mutated).decode()
    outcome = judged(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")

    assert isinstance(outcome, CaBundle) or outcome.startswith("InvalidArgument: the CA bundle")


@settings(deadline=None)  # Other tests share the processors.
@given(text=st.text(max_size=200) | st.text("-BEGINCRTFAD \n", max_size=200))
def test_any_text_is_accepted_or_refused_but_breaks_nothing(text: str) -> None:
    for outcome in (judged(text), judged(pem(GOOD) + text)):
        assert isinstance(outcome, CaBundle) or outcome.startswith("InvalidArgument: the CA bundle")


def test_another_version_of_certificate_is_refused() -> None:
    version_5 = DER.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020104"), 1)
    assert version_5 != DER
    body = base64.encodebytes(version_5).decode()

    message = refusal(f"{VERSION_1}-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")

    assert "certificate 1 (CN=Version one) is of X.509 version 1: make it anew" in message
    assert "certificate 2 cannot be read: export it anew as X.509v3 PEM" in message


def judged(text: str) -> CaBundle | str:
    try:
        return check(text, NOW)
    except ApplicationError as error:
        return f"{error.type}: {error.message}"
