"""The CA bundle a caller wants client certificates verified against, checked.

The rules are Temporal Cloud's ("Certificates", "System limits"): X.509v3 authorities, RSA or
ECDSA with SHA-256 or stronger, no name twice, 16 certificates or 32 KB, whichever comes first, and
a public authority only together with certificate filters.

No name twice: also not while one authority takes over from another, for which people and some TLS
stacks know authorities by their names alone. Give the new one another name, `Clients 2027`, say.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.errors import invalid_argument
from provisioning.certificates import public_authorities
from provisioning.certificates.x509 import CertificateAndKey, fingerprint, subject_of

MOST_CERTIFICATES = 16
MOST_BYTES = 32 * 1024
RSA_BITS = range(2048, 8192 + 1)
"""Longer keys cost the ingress too much at every handshake."""
CURVES = ("secp256r1", "secp384r1", "secp521r1")
WEAK_HASHES = ("md5", "sha1", "sha224")

# RFC 7468. Explanatory text around the blocks is legal, and common.
_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")

_Placed = tuple[str, x509.Certificate]
"""A certificate and how to call it in a message: `certificate 2 (CN=…)`."""


class ExpiredCa(StrEnum):
    """What to do with a bundle that holds an expired certificate."""

    WARN = "warn"
    """Accept it: nobody gets in by it, and existing clients of this API upload such bundles."""
    REFUSE = "refuse"


@dataclass(frozen=True)
class CaCertificate:
    subject: str
    fingerprint: str
    """SHA-256, hexadecimal."""
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class CaBundle:
    pem: str
    """The certificates in the caller's order, without the text around them."""
    certificates: tuple[CaCertificate, ...]
    warnings: tuple[str, ...]
    public: tuple[str, ...] = ()
    """Those that certify everybody, by subject: they need certificate filters beside them."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        return tuple(certificate.fingerprint for certificate in self.certificates)

    @property
    def not_after(self) -> datetime | None:
        """When the first of them expires; None if there are none."""
        return min((certificate.not_after for certificate in self.certificates), default=None)

    def joined_by(self, authority: CertificateAndKey | None) -> "CaBundle":
        """Return the bundle with one more authority, if there is one."""
        if authority is None:
            return self
        return CaBundle(
            self.pem + authority.certificate_pem.decode(),
            (*self.certificates, _describe(authority.certificate)),
            self.warnings,
            self.public,
        )


NONE = CaBundle("", (), ())
"""Of a namespace whose caller brought no CA."""


def check(pem: str, now: datetime, expired: ExpiredCa = ExpiredCa.WARN) -> CaBundle:
    """Return the bundle, or raise `invalid_argument` that names everything wrong with it."""
    _check_text(pem)
    parsed, problems = _parse(_BLOCK.findall(pem))
    problems += _repetitions(parsed)
    certificates = [_describe(certificate) for _, certificate in parsed]
    lapses = [
        lapse
        for (place, _), certificate in zip(parsed, certificates, strict=True)
        if (lapse := _lapse(place, certificate, now)) is not None
    ]
    if expired is ExpiredCa.REFUSE:
        problems += lapses
    if problems:
        raise invalid_argument(f"the CA bundle cannot be used: {'; '.join(problems)}")
    return CaBundle(
        "".join(certificate.public_bytes(Encoding.PEM).decode() for _, certificate in parsed),
        tuple(certificates),
        tuple(lapses),
        tuple(subject_of(one) for _, one in parsed if public_authorities.mozilla().include(one)),
    )


def require_filters(bundle: CaBundle) -> None:
    """Raise `invalid_argument` if the bundle must not be used without certificate filters."""
    if bundle.public:
        raise invalid_argument(
            f"the CA bundle holds a public authority ({'; '.join(bundle.public)}), which would let "
            "in every client it has ever certified: add certificate filters that match your "
            "clients alone, or use an authority of your own"
        )


def _check_text(pem: str) -> None:
    """Refuse what can be refused without parsing a certificate, cheapest first."""
    size = len(pem.encode(errors="replace"))
    if size > MOST_BYTES:
        raise invalid_argument(
            f"the CA bundle has {size} bytes; at most {MOST_BYTES} are allowed: "
            "remove authorities that sign no clients"
        )
    labels = _BEGIN.findall(pem)
    foreign = next((label for label in labels if label != "CERTIFICATE"), None)
    if foreign is not None and foreign.endswith("PRIVATE KEY"):
        raise invalid_argument(
            "the CA bundle holds a private key: send certificates only, and replace that "
            "authority, for its key has left your hands"
        )
    if foreign is not None:
        raise invalid_argument(
            f"the CA bundle holds a {foreign!r} block: send blocks that begin with "
            "-----BEGIN CERTIFICATE----- only"
        )
    if not labels:
        raise invalid_argument(
            "the CA bundle holds no certificate: send PEM, which begins with "
            "-----BEGIN CERTIFICATE-----"
        )
    if len(labels) > MOST_CERTIFICATES:
        raise invalid_argument(
            f"the CA bundle holds {len(labels)} certificates; at most {MOST_CERTIFICATES} are "
            "allowed: remove authorities that sign no clients"
        )
    complete = len(_BLOCK.findall(pem))
    if complete < len(labels):
        raise invalid_argument(
            f"the CA bundle begins {len(labels)} certificates and ends {complete} of them: "
            "send each from its BEGIN to its END line"
        )


def _parse(blocks: list[str]) -> tuple[list[_Placed], list[str]]:
    """Return the certificates that are well-formed, and what is wrong with any of them."""
    parsed: list[_Placed] = []
    problems: list[str] = []
    for number, block in enumerate(blocks, start=1):
        place = f"certificate {number}"
        try:
            certificate = x509.load_pem_x509_certificate(block.encode())
            place = f"certificate {number} ({subject_of(certificate)})"
            _ = certificate.issuer  # Names are parsed when they are first read, and may fail then.
            problems += [f"{place} {problem}" for rule in _RULES for problem in rule(certificate)]
        except (
            ValueError,
            TypeError,  # Of a name's attribute whose type is not that of its value.
            UnsupportedAlgorithm,
            x509.InvalidVersion,
            x509.DuplicateExtension,
            x509.UnsupportedGeneralNameType,
        ):
            problems.append(f"{place} cannot be read: export it anew as X.509v3 PEM")
        else:
            parsed.append((place, certificate))
    return parsed, problems


def _wrong_version(certificate: x509.Certificate) -> list[str]:
    if certificate.version == x509.Version.v3:
        return []
    return [f"is of X.509 version {certificate.version.value + 1}: make it anew as version 3"]


def _no_authority(certificate: x509.Certificate) -> list[str]:
    extensions = certificate.extensions
    try:
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if not is_ca:
        return ["is not an authority (CA:true): send the certificate that signs your clients'"]
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return []
    return [] if signs else ["may not sign certificates: add keyCertSign to its key usage"]


def _weak_key(certificate: x509.Certificate) -> list[str]:
    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits) if bits not in RSA_BITS:
            return [f"has an RSA key of {bits} bits; {RSA_BITS[0]} to {RSA_BITS[-1]} are allowed"]
        case ec.EllipticCurvePublicKey(curve=curve) if curve.name not in CURVES:
            return [f"has a key on {curve.name}; {', '.join(CURVES)} are allowed"]
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
            return []
        case _:
            return ["has neither an RSA nor an ECDSA key: use one of them"]


def _weak_signature(certificate: x509.Certificate) -> list[str]:
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return ["is not signed with RSA or ECDSA: use one of them, with SHA-256 or stronger"]
    if algorithm.name in WEAK_HASHES:
        return [f"is signed with {algorithm.name}: use SHA-256 or stronger"]
    return []


_RULES: tuple[Callable[[x509.Certificate], list[str]], ...] = (
    _wrong_version,
    _no_authority,
    _weak_key,
    _weak_signature,
)


def _repetitions(parsed: list[_Placed]) -> list[str]:
    problems = []
    by_fingerprint: dict[str, str] = {}
    by_subject: dict[str, _Placed] = {}
    for place, certificate in parsed:
        same = by_fingerprint.setdefault(fingerprint(certificate), place)
        namesake, earlier = by_subject.setdefault(
            subject_of(certificate).casefold(), (place, certificate)
        )
        if same != place:
            problems.append(f"{place} is the same as {same}: remove it")
        elif namesake != place and earlier.public_key() == certificate.public_key():
            problems.append(
                f"{place} is {namesake} made anew with the same key: keep the one that is valid "
                "longer"
            )
        elif namesake != place:
            problems.append(
                f"{place} has the subject of {namesake}, upper and lower case aside: "
                "give every authority a name of its own"
            )
    return problems


def _describe(certificate: x509.Certificate) -> CaCertificate:
    return CaCertificate(
        subject_of(certificate),
        fingerprint(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _lapse(place: str, certificate: CaCertificate, now: datetime) -> str | None:
    if now <= certificate.not_after:
        return None
    return (
        f"{place} expired at {certificate.not_after:%Y-%m-%d %H:%M} UTC: "
        "clients it has signed are refused until you replace it"
    )
