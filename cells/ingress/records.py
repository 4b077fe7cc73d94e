"""What the ingress enforces for one namespace: the record in the cell's database."""

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class CertificateFilter:
    """Fields a client certificate must match; an empty one matches anything.

    Case-insensitive, with one leading or trailing `*` (Temporal Cloud, "Certificates").
    """

    common_name: str = ""
    organization: str = ""
    organizational_unit: str = ""
    subject_alternative_name: str = ""


@dataclass(frozen=True)
class IngressRecord:
    """One namespace as the gatekeeper knows it. The private key is sealed for this cell alone."""

    namespace: str
    uid: str
    server_name: str
    admitted: bool
    """Whether anybody gets in. Nothing half-made is ever admitted."""
    client_ca: str
    """PEM: the CA bundle that client certificates are verified against."""
    certificate_filters: tuple[CertificateFilter, ...]
    """A client certificate must match one of them, if there are any."""
    certificate_chain: str
    """PEM: the endpoint's server certificate, leaf first."""
    sealed_key: bytes
    """The certificate's private key (PEM), sealed by `cells.ingress.sealing`."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that is enforced: equal digests, equal treatment of every client."""
        enforced = [
            self.namespace,
            self.uid,
            self.server_name,
            self.admitted,
            self.client_ca,
            [vars(f) for f in self.certificate_filters],
            self.certificate_chain,
        ]
        return hashlib.sha256(json.dumps(enforced).encode()).hexdigest()


def loaded_service(namespace: str, digest: str) -> str:
    """Name the gRPC health service that is SERVING once the gatekeeper enforces `digest`."""
    return f"{namespace}@{digest}"
