"""CA bundles: read from files, told by their certificates, added to and taken from."""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.cli.failures import UsageError
from provisioning.certificates.x509 import fingerprint, subject_of


def read_bundle(file: Path) -> bytes:
    """Return the file's PEM; raise UsageError when it holds no certificate, or a private key."""
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the CA file {file}: {error.strerror}") from error
    if b"PRIVATE KEY-----" in pem:
        raise UsageError(
            f"{file} holds a private key, which must not leave this machine: "
            "give a file with the CA's certificate alone"
        )
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise UsageError(
            f"{file} holds no PEM certificate; `controlplane certs create-ca` makes one"
        )
    return pem


def authorities(pem: bytes) -> tuple[str, ...]:
    """Return the bundle's certificates in their order: subject and the first of the SHA-256.

    What cannot be read as certificates is told by its length.
    """
    if not pem.strip():
        return ()
    try:
        return tuple(map(_told, x509.load_pem_x509_certificates(pem)))
    except ValueError:
        return (f"{len(pem)} bytes that are no certificates",)


def with_added(bundle: bytes, files: Sequence[Path]) -> bytes:
    """Return the bundle with the certificates of these files that it lacks."""
    known = {fingerprint(certificate) for certificate in _certificates(bundle)}
    pem = bundle
    for file in files:
        for certificate in _certificates_of(file):
            if fingerprint(certificate) not in known:
                known.add(fingerprint(certificate))
                # A bundle may end without a line break, and a block must begin on a line.
                pem = (pem.rstrip() + b"\n" if pem.strip() else b"") + _pem(certificate)
    return pem


def without(bundle: bytes, removed: Sequence[str]) -> bytes:
    """Return the bundle without the certificates that `removed` names.

    Each is a file of certificates, or the SHA-256 fingerprint of one, or how that begins.
    """
    kept = _certificates(bundle)
    for name in removed:
        gone = _named(name, kept)
        kept = [certificate for certificate in kept if certificate not in gone]
    return b"".join(map(_pem, kept))


def _named(name: str, kept: list[x509.Certificate]) -> list[x509.Certificate]:
    if Path(name).is_file():
        wanted = {fingerprint(certificate) for certificate in _certificates_of(Path(name))}
        gone = [certificate for certificate in kept if fingerprint(certificate) in wanted]
    else:
        start = name.replace(":", "").lower()
        gone = [certificate for certificate in kept if fingerprint(certificate).startswith(start)]
        if len(gone) > 1:
            raise UsageError(f"{name} begins the fingerprints of {len(gone)} CAs: write more of it")
    if not gone:
        trusted = "; ".join(map(_told, kept)) or "none"
        raise UsageError(
            f"{name} is neither a file nor the fingerprint of a CA that the namespace trusts. "
            f"It trusts: {trusted}"
        )
    return gone


def _certificates_of(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_bundle(file))
    except ValueError as error:
        raise UsageError(f"{file} holds a certificate that cannot be read: {error}") from error


def _certificates(bundle: bytes) -> list[x509.Certificate]:
    if not bundle.strip():
        return []
    try:
        return x509.load_pem_x509_certificates(bundle)
    except ValueError as error:
        raise UsageError(
            f"the namespace's CA bundle cannot be read ({error}): replace it with --ca-file"
        ) from error


def _told(certificate: x509.Certificate) -> str:
    return f"{subject_of(certificate)} ({fingerprint(certificate)[:16]}…)"


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
