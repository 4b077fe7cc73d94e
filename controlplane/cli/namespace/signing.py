"""Certificate signing requests, made and read on this machine. Keys never leave it."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.secrets import private_file


def request_for(
    key_file: Path, common_name: str, organization: str | None, organizational_unit: str | None
) -> str:
    """Return a request for a certificate of this subject, for the key in the file.

    The key is made if there is none yet, readable by its owner only. The same key and subject are
    the same request every time, so that one whose answer got lost can be repeated.
    """
    try:
        private_file.create(key_file, _new_key())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except OSError as error:
        raise CommandFailed(f"cannot keep a key in {key_file}: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{key_file} holds no private key in PEM that can be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{key_file} holds no EC key: make a request yourself, and give it --csr")
    unsigned = x509.CertificateSigningRequestBuilder().subject_name(
        _subject(common_name, organization, organizational_unit)
    )
    request = unsigned.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return request.public_bytes(serialization.Encoding.PEM).decode()


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


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _subject(
    common_name: str, organization: str | None, organizational_unit: str | None
) -> x509.Name:
    named = (
        (NameOID.ORGANIZATION_NAME, organization),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, organizational_unit),
        (NameOID.COMMON_NAME, common_name),
    )
    try:
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in named if value])
    except ValueError as error:
        raise UsageError(f"no certificate can have this subject: {error}") from error
