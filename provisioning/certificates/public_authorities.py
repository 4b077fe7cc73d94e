"""Authorities that certify everybody: trusting one means trusting all of its customers."""

import contextlib
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


class PublicAuthorities:
    """Well-known roots, and the authorities that these roots have certified themselves."""

    def __init__(self, pem: bytes) -> None:
        self._by_name: dict[x509.Name, list[x509.Certificate]] = defaultdict(list)
        self._keys: set[bytes] = set()
        for root in _parse(pem):
            self._by_name[root.subject].append(root)
            self._keys.add(_key(root))

    def include(self, authority: x509.Certificate) -> bool:
        if _key(authority) in self._keys:
            return True
        return any(_issued(root, authority) for root in self._by_name.get(authority.issuer, ()))


@lru_cache(maxsize=1)
def mozilla() -> PublicAuthorities:
    """Return those that Mozilla's products trust, as of the release of `certifi`."""
    return PublicAuthorities(Path(certifi.where()).read_bytes())


def _parse(pem: bytes) -> Iterator[x509.Certificate]:
    for block in _BLOCK.findall(pem):
        with contextlib.suppress(ValueError):
            yield _load(block)


def _load(pem: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        # Old roots have serial numbers that are not allowed any more. A later release of the
        # library will not read them, nor then what they have certified.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_pem_x509_certificate(pem)


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
