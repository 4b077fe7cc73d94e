"""What a client asks to have certified, checked: a certificate signing request (RFC 2986)."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from controlplane.errors import invalid_argument
from provisioning.certificates.x509 import LONGEST_COMMON_NAME

SHORTEST_LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=365)
MOST_BYTES = 16 * 1024
MOST_ALTERNATIVE_NAMES = 25
RSA_BITS = range(2048, 8192 + 1)
"""Longer keys cost the ingress too much at every handshake."""
CURVES = ("secp256r1", "secp384r1")
OWN_SCHEME = "controlplane"
"""Of the URIs by which the control plane's own certificates say what they are for."""

_CARRIED_OVER = (x509.DNSName, x509.UniformResourceIdentifier, x509.RFC822Name)


@dataclass(frozen=True)
class ClientRequest:
    """Who a client says it is, and the key it has proven to hold."""

    subject: x509.Name
    public_key: CertificatePublicKeyTypes
    alternative_names: tuple[x509.GeneralName, ...]


def check(csr: str, lifetime: timedelta) -> ClientRequest:
    """Return what is asked for, or raise `invalid_argument` that says why it cannot be had."""
    if not SHORTEST_LIFETIME <= lifetime <= LONGEST_LIFETIME:
        raise invalid_argument(
            f"a client certificate cannot be issued for {lifetime.total_seconds() / 3600:g} "
            f"hours: ask for one hour to {LONGEST_LIFETIME.days} days"
        )
    request = _parse(csr)
    problem = (
        _weakness(request.public_key())
        or _odd_subject(request.subject)
        or _odd_extensions(request.extensions)
    )
    if problem is not None:
        raise invalid_argument(f"the certificate signing request {problem}")
    return ClientRequest(
        request.subject, request.public_key(), tuple(_alternative_names(request.extensions))
    )


def _parse(csr: str) -> x509.CertificateSigningRequest:
    size = len(csr.encode(errors="replace"))
    if size > MOST_BYTES:
        raise invalid_argument(
            f"the certificate signing request has {size} bytes; at most {MOST_BYTES} are allowed"
        )
    if "PRIVATE KEY-----" in csr:
        raise invalid_argument(
            "the certificate signing request comes with a private key: keep the key to yourself, "
            "make a new one and send the request alone"
        )
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        # Read here, so that whatever is broken in them is found here.
        _ = request.subject, request.extensions, request.public_key()
        proven = request.is_signature_valid
    except (
        ValueError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ):
        raise invalid_argument(
            "the certificate signing request cannot be read: send PEM, which begins with "
            "-----BEGIN CERTIFICATE REQUEST-----"
        ) from None
    if not proven:
        raise invalid_argument(
            "the certificate signing request is not signed with the key it names: make it anew "
            "with the client's own key"
        )
    return request


def _weakness(key: CertificatePublicKeyTypes) -> str | None:
    match key:
        case rsa.RSAPublicKey(key_size=bits) if bits not in RSA_BITS:
            return f"has an RSA key of {bits} bits; {RSA_BITS[0]} to {RSA_BITS[-1]} are allowed"
        case ec.EllipticCurvePublicKey(curve=curve) if curve.name not in CURVES:
            return f"has a key on {curve.name}; {', '.join(CURVES)} are allowed"
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
            return None
        case _:
            return "has neither an RSA nor an ECDSA key: the ingress takes no others"


def _odd_subject(subject: x509.Name) -> str | None:
    common_names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(common_names) != 1:
        return (
            f"has {len(common_names)} common names in its subject "
            f"({subject.rfc4514_string() or 'which is empty'}): give it one, CN=…"
        )
    for attribute in subject:
        value = attribute.value
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_COMMON_NAME:
            return (
                f"has a {attribute.rfc4514_attribute_name} of {len(value)} characters in its "
                f"subject; 1 to {LONGEST_COMMON_NAME} are allowed"
            )
        if not value.isprintable():
            return f"has unprintable characters in its subject: {value!r}"
    return None


def _odd_extensions(extensions: x509.Extensions) -> str | None:
    try:
        if extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return "asks for an authority (CA:true): leave that out, only clients are certified"
    except x509.ExtensionNotFound:
        pass
    names = _alternative_names(extensions)
    if len(names) > MOST_ALTERNATIVE_NAMES:
        return (
            f"has {len(names)} subject alternative names; at most {MOST_ALTERNATIVE_NAMES} are "
            "allowed"
        )
    for name in names:
        if not isinstance(name, _CARRIED_OVER):
            return (
                f"has a subject alternative name of type {type(name).__name__}: DNS names, URIs "
                "and e-mail addresses are allowed"
            )
        # It says what the control plane's own certificates are for: the prober's, say.
        if isinstance(name, x509.UniformResourceIdentifier) and _is_ours(name.value):
            return f"has the subject alternative name {name.value}: that scheme is reserved"
    return None


def _alternative_names(extensions: x509.Extensions) -> list[x509.GeneralName]:
    try:
        return list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _is_ours(uri: str) -> bool:
    try:
        scheme = urlsplit(uri).scheme
    except ValueError:
        return True  # What cannot be understood might be taken for ours by somebody else.
    return scheme.casefold() == OWN_SCHEME
