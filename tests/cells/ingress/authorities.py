"""Certificate authorities of tests: what tenants, strangers and the fleet would have."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from cells.ingress.gatekeeper.authorizer import serial_of


@dataclass(frozen=True)
class Credential:
    """A certificate and its private key, PEM."""

    certificate: str
    private_key: str


@dataclass(frozen=True)
class Authority:
    """A CA and its power to issue."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(
        cls,
        name: str,
        issuer: "Authority | None" = None,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> "Authority":
        """Make a root, or an intermediate of `issuer`; with an earlier one's key, its renewal."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key if issuer is None else issuer.private_key, SHA256())
        )
        return cls(certificate, key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def client(
        self,
        common_name: str = "worker-1",
        *,
        organization: str | None = None,
        organizational_unit: str | None = None,
        names: Sequence[x509.GeneralName] = (),
        usage: ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        starts_in: timedelta = timedelta(hours=-1),
        ends_in: timedelta = timedelta(hours=1),
    ) -> Credential:
        """Issue a certificate for a client."""
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization is not None:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        if organizational_unit is not None:
            subject.append(
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, organizational_unit)
            )
        return self._issue(x509.Name(subject), names, usage, starts_in, ends_in)

    def server(self, server_name: str) -> Credential:
        """Issue a certificate for an endpoint."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server_name)])
        return self._issue(
            subject,
            [x509.DNSName(server_name)],
            ExtendedKeyUsageOID.SERVER_AUTH,
            timedelta(hours=-1),
            timedelta(days=1),
        )

    def _issue(
        self,
        subject: x509.Name,
        names: Sequence[x509.GeneralName],
        usage: ObjectIdentifier,
        starts_in: timedelta,
        ends_in: timedelta,
    ) -> Credential:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + starts_in)
            .not_valid_after(now + ends_in)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.private_key.public_key()),
                critical=False,
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Credential(
            builder.sign(self.private_key, SHA256()).public_bytes(Encoding.PEM).decode(),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        )


def serial(credential: Credential) -> str:
    """Return the certificate's serial number as revocations name it."""
    return serial_of(x509.load_pem_x509_certificate(credential.certificate.encode()))
