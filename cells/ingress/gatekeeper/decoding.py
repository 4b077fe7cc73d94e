"""Records out of what a database row or a file holds."""

from collections.abc import Mapping
from datetime import datetime

from cells.ingress.keys import KeyRow, SigningKeyRow
from cells.ingress.records import AdmissionRules, CertificateFilter, IngressRecord


def decode_record(values: Mapping[str, object]) -> IngressRecord:
    """Return the record, or raise TypeError or ValueError if the values are not one."""
    match values:
        case {
            "namespace": str(namespace),
            "uid": str(uid),
            "server_name": str(server_name),
            "admitted": bool(admitted),
            "certificate_chain": str(certificate_chain),
            "sealed_key": bytes(sealed_key),
        }:
            return IngressRecord(
                namespace=namespace,
                uid=uid,
                server_name=server_name,
                admitted=admitted,
                rules=_decode_rules(values),
                certificate_chain=certificate_chain,
                sealed_key=sealed_key,
            )
        case _:
            raise ValueError("a value is missing or has an unexpected type")


def decode_key(values: Mapping[str, object]) -> KeyRow:
    """Return the live API key, or raise TypeError or ValueError if the values are not one."""
    match values:
        case {
            "key_id": str(key_id),
            "expires_at": datetime(tzinfo=zone) as expires_at,
            "everywhere": bool(everywhere),
            "namespaces": dict(namespaces),
        } if zone is not None and _is_text(namespaces):
            return KeyRow(key_id, expires_at, everywhere, namespaces)
        case _:
            raise ValueError("a value is missing or has an unexpected type")


def decode_signing_key(values: Mapping[str, object]) -> SigningKeyRow:
    """Return the public key, or raise TypeError or ValueError if the values are not one."""
    match values:
        case {"kid": str(kid), "jwk": dict(jwk)} if _is_text(jwk):
            return SigningKeyRow(kid, jwk)
        case _:
            raise ValueError("a value is missing or has an unexpected type")


# What a file of an earlier release does not know yet is as if it had never been asked for.
_LATER: Mapping[str, object] = {
    "api_keys": False,
    "revoked_serials": (),
    "requests_per_second": 0,
    "active_cell": "",
    "forward_polls": True,
}


def decode_peers(values: object) -> dict[str, str]:
    """Return the ingresses by cell, or raise ValueError if the values are not that."""
    match values:
        case dict(peers) if _is_text(peers) and all(isinstance(cell, str) for cell in peers):
            return peers
        case _:
            raise ValueError("the peers are not text")


def _decode_rules(values: Mapping[str, object]) -> AdmissionRules:
    match {**_LATER, **values}:
        case {
            "client_ca": str(client_ca),
            "certificate_filters": list(filters) | tuple(filters),
            "api_keys": bool(api_keys),
            "revoked_serials": list(revoked_serials) | tuple(revoked_serials),
            "requests_per_second": int(requests_per_second),
            "active_cell": str(active_cell),
            "forward_polls": bool(forward_polls),
        } if all(isinstance(serial, str) for serial in revoked_serials):
            return AdmissionRules(
                client_ca=client_ca,
                certificate_filters=tuple(CertificateFilter(**wanted) for wanted in filters),
                api_keys=api_keys,
                revoked_serials=tuple(revoked_serials),
                requests_per_second=requests_per_second,
                active_cell=active_cell,
                forward_polls=forward_polls,
            )
        case _:
            raise ValueError("a rule is missing or has an unexpected type")


def _is_text(values: dict[str, object]) -> bool:
    return all(isinstance(value, str) for value in values.values())
