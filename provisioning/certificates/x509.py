"""X.509 certificates, made: authorities, server and client certificates on P-256 keys."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED = timedelta(minutes=10)
"""How long before its making a certificate becomes valid: clocks differ."""
LONGEST_COMMON_NAME = 64
"""Characters; RFC 5280, appendix A.1 (ub-common-name)."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class CertificateAndKey:
    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, pem: bytes) -> "CertificateAndKey":
        """Read a certificate and its private key; raise ValueError if they do not belong together.

        Of several certificates the first one is the key's; what is said of a key never shows it.
        """
        certificate = x509.load_pem_x509_certificate(pem)
        try:
            key = serialization.load_pem_private_key(_from_private_key(pem), password=None)
        except TypeError:
            raise ValueError("the private key is encrypted: decrypt it first") from None
        if not isinstance(key, PrivateKey):
            raise ValueError("the private key is neither an EC nor an RSA key")
        if key.public_key() != certificate.public_key():
            raise ValueError(
                f"the private key is not that of the certificate {subject_of(certificate)}"
            )
        return cls(certificate, key)

    def to_pem(self) -> bytes:
        """Return the certificate, then its private key (PKCS #8, not encrypted)."""
        return self.certificate_pem + self.key_pem

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.certificate)


@dataclass(frozen=True)
class Leaf:
    """What the certificate of a server or a client is to say."""

    subject: x509.Name
    public_key: CertificatePublicKeyTypes
    usage: x509.ObjectIdentifier
    alternative_names: tuple[x509.GeneralName, ...]
    serial: int
    not_before: datetime
    not_after: datetime


def new_ca(
    common_name: str,
    *,
    organization: str | None = None,
    uris: tuple[str, ...] = (),
    validity: timedelta,
) -> CertificateAndKey:
    """Return a new self-signed authority, which may sign leaf certificates and nothing else.

    `uris` become subject alternative names.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name, organization)
    now = datetime.now(UTC)
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
    )
    if uris:
        unsigned = unsigned.add_extension(
            x509.SubjectAlternativeName(list(map(x509.UniformResourceIdentifier, uris))),
            critical=False,
        )
    return CertificateAndKey(unsigned.sign(key, hashes.SHA256()), key)


def issue_server(
    ca: CertificateAndKey,
    dns_names: tuple[str, ...],
    validity: timedelta,
    *,
    uris: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
) -> CertificateAndKey:
    """Return a server certificate for `dns_names`, of which the first is also the common name.

    `addresses` are IP addresses that clients dial instead of a name.
    """
    if not dns_names:
        raise ValueError("a server certificate needs a DNS name")
    common_name = dns_names[0] if len(dns_names[0]) <= LONGEST_COMMON_NAME else None
    return _issue(
        ca,
        _name(common_name),
        ExtendedKeyUsageOID.SERVER_AUTH,
        [
            *map(x509.DNSName, dns_names),
            *(x509.IPAddress(ip_address(address)) for address in addresses),
            *map(x509.UniformResourceIdentifier, uris),
        ],
        validity,
    )


def issue_client(
    ca: CertificateAndKey,
    common_name: str,
    *,
    organization: str | None = None,
    organizational_unit: str | None = None,
    uris: tuple[str, ...] = (),
    validity: timedelta,
) -> CertificateAndKey:
    """Return a client certificate; `uris` become subject alternative names."""
    return _issue(
        ca,
        _name(common_name, organization, organizational_unit),
        ExtendedKeyUsageOID.CLIENT_AUTH,
        [x509.UniformResourceIdentifier(uri) for uri in uris],
        validity,
    )


def sign_leaf(ca: CertificateAndKey, leaf: Leaf) -> x509.Certificate:
    """Return the certificate: the same bytes every time, if the authority's key is an EC key."""
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(ca.certificate.subject)
        .public_key(leaf.public_key)
        .serial_number(leaf.serial)
        .not_valid_before(leaf.not_before)
        .not_valid_after(leaf.not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([leaf.usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf.public_key), critical=False)
        .add_extension(_authority_key_identifier(ca), critical=False)
    )
    if leaf.alternative_names:
        # With an empty subject they are the only name there is (RFC 5280, 4.2.1.6).
        unsigned = unsigned.add_extension(
            x509.SubjectAlternativeName(leaf.alternative_names), critical=not list(leaf.subject)
        )
    deterministic = True if isinstance(ca.key, ec.EllipticCurvePrivateKey) else None
    return unsigned.sign(ca.key, hashes.SHA256(), ecdsa_deterministic=deterministic)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate's DER form, in lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def subject_of(certificate: x509.Certificate) -> str:
    """Return the subject as RFC 4514 writes it, `CN=orders,O=Acme`."""
    return certificate.subject.rfc4514_string() or "without a subject"


def _issue(
    ca: CertificateAndKey,
    subject: x509.Name,
    usage: x509.ObjectIdentifier,
    alternative_names: list[x509.GeneralName],
    validity: timedelta,
) -> CertificateAndKey:
    now = datetime.now(UTC)
    # A leaf that outlives its authority is refused from that day on, whatever it says itself.
    until = min(now + validity, ca.certificate.not_valid_after_utc)
    if ca.certificate.not_valid_after_utc <= now:
        raise ValueError(
            f"the authority {subject_of(ca.certificate)} expired at "
            f"{ca.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: replace it first"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = Leaf(
        subject=subject,
        public_key=key.public_key(),
        usage=usage,
        alternative_names=tuple(alternative_names),
        serial=x509.random_serial_number(),
        not_before=now - BACKDATED,
        not_after=until,
    )
    return CertificateAndKey(sign_leaf(ca, leaf), key)


def _authority_key_identifier(ca: CertificateAndKey) -> x509.AuthorityKeyIdentifier:
    """Point at the authority by the identifier it has, which need not be made our way."""
    try:
        identifier = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)


def _name(
    common_name: str | None,
    organization: str | None = None,
    organizational_unit: str | None = None,
) -> x509.Name:
    if common_name is not None and not 0 < len(common_name) <= LONGEST_COMMON_NAME:
        raise ValueError(
            f"common name {common_name!r} has {len(common_name)} characters; "
            f"1 to {LONGEST_COMMON_NAME} are allowed"
        )
    return x509.Name(
        [
            x509.NameAttribute(oid, value)
            for oid, value in (
                (NameOID.ORGANIZATION_NAME, organization),
                (NameOID.ORGANIZATIONAL_UNIT_NAME, organizational_unit),
                (NameOID.COMMON_NAME, common_name),
            )
            if value is not None
        ]
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _from_private_key(pem: bytes) -> bytes:
    """Cut off what precedes the private key: the parser reads the first block only."""
    for label in (b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY", b"ENCRYPTED PRIVATE KEY"):
        start = pem.find(b"-----BEGIN %s-----" % label)
        if start >= 0:
            return pem[start:]
    raise ValueError("there is no private key in it")
