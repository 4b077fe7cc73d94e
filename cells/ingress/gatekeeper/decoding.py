"""Records out of what a database row or a file holds."""

from collections.abc import Mapping

from cells.ingress.records import CertificateFilter, IngressRecord


def decode_record(values: Mapping[str, object]) -> IngressRecord:
    """Return the record, or raise TypeError or ValueError if the values are not one."""
    match values:
        case {
            "namespace": str(namespace),
            "uid": str(uid),
            "server_name": str(server_name),
            "admitted": bool(admitted),
            "client_ca": str(client_ca),
            "certificate_filters": list(filters) | tuple(filters),
            "certificate_chain": str(certificate_chain),
            "sealed_key": bytes(sealed_key),
        }:
            return IngressRecord(
                namespace=namespace,
                uid=uid,
                server_name=server_name,
                admitted=admitted,
                client_ca=client_ca,
                certificate_filters=tuple(CertificateFilter(**wanted) for wanted in filters),
                certificate_chain=certificate_chain,
                sealed_key=sealed_key,
            )
        case _:
            raise ValueError("a value is missing or has an unexpected type")
