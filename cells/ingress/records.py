"""What the ingress enforces for one namespace: the record in the cell's database."""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta

LONGEST_CONNECTION = timedelta(days=1)
"""No connection is allowed to grow older: what is past for longer, no connection stems from."""

_LONGEST_VALUE = 64  # Characters: what a person takes in at a glance.
_FINGERPRINT = 16  # Characters.


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
class AdmissionRules:
    """Who gets in to a namespace and how much they may do, as asked for."""

    client_ca: str = ""
    """PEM: the CA bundle that client certificates are verified against. Without one, no client
    certificate gets in."""
    certificate_filters: tuple[CertificateFilter, ...] = ()
    """A client certificate must match one of them, if there are any."""
    api_keys: bool = False
    """Whether requests with an API key get in."""
    revoked_serials: tuple[str, ...] = ()
    """Client certificates refused, sorted: hexadecimal, lower case, no leading zeros."""
    requests_per_second: int = 0
    """Over all connections, with bursts of as many; 0: no limit."""
    active_cell: str = ""
    """Where requests are passed on to; empty: they are this cell's own to answer. An admission
    leaves it as it finds it."""
    forward_polls: bool = True
    """Whether workers' polls are passed on, too."""


@dataclass(frozen=True)
class IngressRecord:
    """One namespace as the gatekeeper knows it. The private key is sealed for this cell alone."""

    namespace: str
    uid: str
    server_name: str
    admitted: bool
    """Whether anybody gets in. Nothing half-made is ever admitted."""
    rules: AdmissionRules
    certificate_chain: str
    """PEM: the endpoint's server certificate, leaf first."""
    sealed_key: bytes
    """The certificate's private key (PEM), sealed by `cells.ingress.sealing`."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that is enforced: equal digests, equal treatment of every client."""
        return _sha256([self.namespace, self.uid, self.admitted, self._enforced])

    @property
    def parts(self) -> dict[str, str]:
        """What is enforced, part by part: its value where that is short, else a fingerprint."""
        return {
            name: part if len(part) <= _LONGEST_VALUE else _sha256(part)[:_FINGERPRINT]
            for name, part in self._enforced.items()
        }

    @property
    def _enforced(self) -> dict[str, str]:
        rules = self.rules
        filters = [vars(wanted) for wanted in rules.certificate_filters]
        return {
            "server_name": self.server_name,
            "certificate": self.certificate_chain,
            "client_ca": rules.client_ca,
            "certificate_filters": json.dumps(filters) if filters else "",
            "api_keys": "on" if rules.api_keys else "off",
            "revoked_serials": ",".join(rules.revoked_serials),
            "requests_per_second": str(rules.requests_per_second),
            # Left out where they say nothing: records from before have the digest that they had.
            **({"active_cell": rules.active_cell} if rules.active_cell else {}),
            **({} if rules.forward_polls else {"forward_polls": "off"}),
        }


def loaded_service(namespace: str, digest: str) -> str:
    """Name the gRPC health service that is SERVING once the gatekeeper enforces `digest`."""
    return f"{namespace}@{digest}"


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
