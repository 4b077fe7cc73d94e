"""Certificate signing requests, made and read on this machine. Keys never leave it."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlplane.cli.failures import UsageError


@dataclass(frozen=True)
class NewRequest:
    """A request for a certificate, and the key that it is for."""

    pem: str
    key_pem: bytes = field(repr=False)


def new_request(
    common_name: str, organization: str | None, organizational_unit: str | None
) -> NewRequest:
    """Make a P-256 key and a request for a certificate of this subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        subject = x509.Name(
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
    except ValueError as error:
        raise UsageError(f"no certificate can have this subject: {error}") from error
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    return NewRequest(
        request.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def read_request(file: Path) -> str:
    """Return the request in the file; raise UsageError when there is none, or a key beside it."""
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the signing request {file}: {error.strerror}") from error
    if b"PRIVATE KEY-----" in pem:
        raise UsageError(
            f"{file} holds a private key, which must not leave this machine: "
            "give a file with the signing request alone"
        )
    try:
        x509.load_pem_x509_csr(pem)
    except ValueError as error:
        raise UsageError(f"{file} holds no certificate signing request in PEM: {error}") from error
    return pem.decode(errors="replace")


def serial_of(file: Path) -> str:
    """Return the serial number of the file's first certificate, as certificates are listed."""
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read the certificate {file}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{file} holds no certificate in PEM: {error}") from error
    return f"{certificate.serial_number:x}"


def read_serial(text: str) -> str:
    """Return a serial number the one way it is written: lower case, no leading zeros."""
    digits = text.lower().replace(":", "").removeprefix("0x").lstrip("0")
    if not digits or set(digits) - set("0123456789abcdef"):
        raise UsageError(f"serial number {text!r} is not hexadecimal, such as 3f9a or 3F:9A")
    return digits
