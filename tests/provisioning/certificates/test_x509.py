import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.certificates.x509 import (
    CertificateAndKey,
    issue_client,
    issue_server,
    new_ca,
)

DAY = timedelta(days=1)
ENDPOINT = "orders.acme1.fleet.test"


@pytest.fixture(scope="module")
def ca() -> CertificateAndKey:
    return new_ca("Fleet CA", organization="Acme", validity=365 * DAY)


def verifiers(ca: CertificateAndKey) -> PolicyBuilder:
    return PolicyBuilder().store(Store([ca.certificate]))


def test_a_strict_verifier_accepts_a_server_certificate_for_its_name(
    ca: CertificateAndKey,
) -> None:
    server = issue_server(ca, (ENDPOINT,), DAY)

    verifier = verifiers(ca).build_server_verifier(x509.DNSName(ENDPOINT))
    assert verifier.verify(server.certificate, []) == [server.certificate, ca.certificate]

    other = verifiers(ca).build_server_verifier(x509.DNSName("pay.acme1.fleet.test"))
    with pytest.raises(VerificationError):
        other.verify(server.certificate, [])


def test_a_strict_verifier_accepts_a_client_certificate_and_shows_its_names(
    ca: CertificateAndKey,
) -> None:
    uri = "controlplane://prober/orders.acme1"
    client = issue_client(
        ca, "prober", organization="Acme", organizational_unit="Fleet", uris=(uri,), validity=DAY
    )

    verified = verifiers(ca).build_client_verifier().verify(client.certificate, [])
    assert verified.subjects == [x509.UniformResourceIdentifier(uri)]
    assert client.certificate.subject.rfc4514_string() == "CN=prober,OU=Fleet,O=Acme"


def test_a_certificate_serves_one_purpose_only(ca: CertificateAndKey) -> None:
    server = issue_server(ca, (ENDPOINT,), DAY)
    client = issue_client(ca, "worker", uris=("controlplane://x",), validity=DAY)

    with pytest.raises(VerificationError):
        verifiers(ca).build_client_verifier().verify(server.certificate, [])
    with pytest.raises(VerificationError):
        verifiers(ca).build_server_verifier(x509.DNSName(ENDPOINT)).verify(client.certificate, [])


def test_a_leaf_and_its_signature_cannot_found_another_chain(ca: CertificateAndKey) -> None:
    leaf = issue_server(ca, (ENDPOINT,), DAY)
    forged = issue_server(leaf, (ENDPOINT,), DAY)

    with pytest.raises(VerificationError):
        verifiers(ca).build_server_verifier(x509.DNSName(ENDPOINT)).verify(
            forged.certificate, [leaf.certificate]
        )


def test_a_clock_that_is_a_little_slow_accepts_what_was_just_issued(ca: CertificateAndKey) -> None:
    server = issue_server(ca, (ENDPOINT,), DAY)
    a_little_ago = datetime.now(UTC) - timedelta(minutes=9)

    verifiers(ca).time(a_little_ago).build_server_verifier(x509.DNSName(ENDPOINT)).verify(
        server.certificate, []
    )


def test_no_certificate_outlives_its_authority() -> None:
    ca = new_ca("Short", validity=DAY)

    server = issue_server(ca, (ENDPOINT,), 90 * DAY)

    assert server.certificate.not_valid_after_utc == ca.certificate.not_valid_after_utc


def test_an_expired_authority_issues_nothing_and_says_so() -> None:
    ca = new_ca("Old", validity=timedelta(seconds=-1))

    with pytest.raises(ValueError, match="the authority CN=Old expired at"):
        issue_server(ca, (ENDPOINT,), DAY)


def test_a_name_too_long_for_the_subject_is_still_in_the_certificate(
    ca: CertificateAndKey,
) -> None:
    name = f"{'n' * 39}.account12345.{'z' * 40}.test"
    server = issue_server(ca, (name,), DAY)

    verifiers(ca).build_server_verifier(x509.DNSName(name)).verify(server.certificate, [])
    assert not list(server.certificate.subject)


@pytest.mark.parametrize("name", ["", "n" * 65])
def test_a_common_name_no_certificate_can_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"has {len(name)} characters; 1 to 64 are allowed"):
        new_ca(name, validity=DAY)


def test_pem_keeps_everything(ca: CertificateAndKey) -> None:
    read = CertificateAndKey.from_pem(ca.to_pem())

    assert read.certificate == ca.certificate
    assert read.key_pem == ca.key_pem
    assert read.fingerprint == ca.fingerprint


def test_an_authority_made_elsewhere_with_rsa_issues_too() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name.from_rfc4514_string("CN=Corporate CA")
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - DAY, now + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )

    client = issue_client(CertificateAndKey.from_pem(pem), "worker", validity=DAY)

    client.certificate.verify_directly_issued_by(certificate)


def test_a_key_of_another_certificate_is_refused(ca: CertificateAndKey) -> None:
    other = new_ca("Other", validity=DAY)

    with pytest.raises(ValueError, match="not that of the certificate CN=Fleet CA,O=Acme"):
        CertificateAndKey.from_pem(ca.certificate_pem + other.key_pem)


def test_a_missing_or_encrypted_key_is_named(ca: CertificateAndKey) -> None:
    encrypted = ca.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )

    with pytest.raises(ValueError, match="there is no private key"):
        CertificateAndKey.from_pem(ca.certificate_pem)
    with pytest.raises(ValueError, match="is encrypted: decrypt it first"):
        CertificateAndKey.from_pem(ca.certificate_pem + encrypted)


def test_a_certificate_shows_its_key_to_nobody_who_prints_it(ca: CertificateAndKey) -> None:
    assert repr(ca.key) not in repr(ca)
    assert "key=" not in repr(ca)


@settings(deadline=None)  # Other tests share the processors.
@given(name=st.from_regex(r"[a-z][a-z0-9-]{0,37}[a-z0-9]\.[a-z0-9]{5,12}", fullmatch=True))
def test_every_namespace_can_have_a_certificate(name: str) -> None:
    ca = new_ca("Fleet CA", validity=DAY)
    server = issue_server(ca, (f"{name}.fleet.test",), DAY)

    names = server.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [f"{name}.fleet.test"]


async def test_openssl_shakes_hands_with_both_sides_checked(
    ca: CertificateAndKey, tmp_path: Path
) -> None:
    clients = new_ca("Clients", validity=DAY)
    mine = issue_client(clients, "worker", validity=DAY)
    foreign = issue_client(new_ca("Clients", validity=DAY), "intruder", validity=DAY)
    server_context = context(ssl.PROTOCOL_TLS_SERVER, clients)
    load(server_context, issue_server(ca, (ENDPOINT,), DAY), tmp_path)
    server_context.verify_mode = ssl.CERT_REQUIRED
    # So that the server's refusal is part of the handshake, and not of the first read after it.
    server_context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome\n")
        await writer.drain()
        writer.close()

    async def call(client: CertificateAndKey, name: str) -> bytes:
        client_context = context(ssl.PROTOCOL_TLS_CLIENT, ca)
        load(client_context, client, tmp_path)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context, server_hostname=name
        )
        try:
            return await reader.readline()
        finally:
            writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await call(mine, ENDPOINT) == b"welcome\n"
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await call(mine, "pay.acme1.fleet.test")
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await call(foreign, ENDPOINT)


def context(protocol: int, trusted: CertificateAndKey) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(cadata=trusted.certificate_pem.decode())
    return made


def load(into: ssl.SSLContext, pair: CertificateAndKey, folder: Path) -> None:
    file = folder / f"{pair.fingerprint}.pem"
    file.write_bytes(pair.to_pem())
    into.load_cert_chain(file)
