"""The CA kept for a namespace whose clients bring none, and the certificates it issues."""

import hashlib
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from controlplane.errors import invalid_argument
from provisioning.certificates import requests
from provisioning.certificates.x509 import (
    BACKDATED,
    CertificateAndKey,
    Leaf,
    fingerprint,
    new_ca,
    sign_leaf,
    subject_of,
)
from provisioning.ports import Incarnation
from provisioning.types import ClientCertificate, SigningRequest

VALIDITY = timedelta(days=3652)
"""Ten years."""

_SERIAL_BITS = 158
"""RFC 5280, 4.1.2.2: 20 octets of a positive number. The next bit is set, so that it is not 0."""


def make(target: Incarnation) -> CertificateAndKey:
    """Return a new CA for the incarnation, which it names: key and uid are stored in one write."""
    return new_ca(f"{target.namespace} managed CA", uris=(identity(target),), validity=VALIDITY)


def identity(target: Incarnation) -> str:
    """Return the URI by which a certificate names the incarnation it was made for."""
    return f"{requests.OWN_SCHEME}://namespace/{target.namespace}/{target.uid}"


def sign(ca: CertificateAndKey, target: Incarnation, request: SigningRequest) -> ClientCertificate:
    """Issue a client certificate: to the same request, the same one every time.

    Nothing is written down before it is answered, so that a reply which got lost is made again.
    Raise `invalid_argument` for a request that cannot be signed.
    """
    wanted = requests.check(request.csr, request.lifetime)
    authority = ca.certificate
    not_before = max(request.asked_at - BACKDATED, authority.not_valid_before_utc)
    not_after = min(request.asked_at + request.lifetime, authority.not_valid_after_utc)
    if not_after <= request.asked_at:
        raise invalid_argument(
            f"the authority {subject_of(authority)} issues nothing any more: it expires at "
            f"{authority.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )
    certificate = sign_leaf(
        ca,
        Leaf(
            subject=wanted.subject,
            public_key=wanted.public_key,
            usage=ExtendedKeyUsageOID.CLIENT_AUTH,
            alternative_names=wanted.alternative_names,
            serial=_serial(target.uid, request.operation, request.csr),
            not_before=not_before,
            not_after=not_after,
        ),
    )
    return ClientCertificate(
        serial=f"{certificate.serial_number:x}",
        subject=subject_of(certificate),
        fingerprint=fingerprint(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        pem=(certificate.public_bytes(Encoding.PEM) + ca.certificate_pem).decode(),
    )


def _serial(*of: str) -> int:
    """Return a number that no other request has, and that tells nothing of this one."""
    digest = hashlib.sha256("\0".join(("client certificate", *of)).encode()).digest()
    return int.from_bytes(digest) >> (256 - _SERIAL_BITS) | 1 << _SERIAL_BITS
