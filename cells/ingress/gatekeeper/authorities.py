"""The authorities of a CA bundle, told apart by their public keys. Pure."""

import hashlib
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PEERS = "peers"
"""The id of the authority that vouches for other cells, which every open namespace trusts."""

_ID_LENGTH = 32  # Hexadecimal digits.


def authority_id(certificate: x509.Certificate) -> str:
    """Return the same for every certificate of one CA: a renewed one has the same key."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()[:_ID_LENGTH]


@lru_cache(maxsize=4096)
def authorities(bundle: str) -> frozenset[str]:
    """Return the ids of a bundle's authorities; a bundle that cannot be read has none."""
    try:
        certificates = x509.load_pem_x509_certificates(bundle.encode()) if bundle.strip() else []
    except ValueError:
        return frozenset()
    return frozenset(authority_id(certificate) for certificate in certificates)
