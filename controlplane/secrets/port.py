"""What the control plane needs of a secret store, and how its secrets are called.

Workflow history, projections, logs and errors hold these names and fingerprints, never values.
"""

from typing import Protocol


class SecretStore(Protocol):
    """Small values under names like `namespaces/orders.acme1/database`. Calls can be repeated."""

    async def put(self, name: str, value: bytes) -> None:
        """Store `value` durably, replacing what was there."""
        ...

    async def get(self, name: str) -> bytes | None:
        """Return the value, or None when there is none."""
        ...

    async def delete(self, name: str) -> None:
        """Forget the value; succeed if there is none."""
        ...

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with `prefix`, sorted."""
        ...


FLEET_CA = "fleet/ca"
"""PEM: certificate, then private key, of the CA that signs server certificates."""
PROBER_CA = "fleet/prober-ca"
"""PEM: certificate, then private key, of the CA that signs the control plane's probing clients."""
PEER_CA = "fleet/peer-ca"
"""PEM: certificate, then private key, of the CA that signs what cells show each other."""
API_SIGNING_KEY = "identity/signing-key"
"""PEM: the private key that signs API keys."""
FORMER_SIGNING_KEYS = "identity/signing-keys/"
"""The beginning of the names of keys that signed API keys before it."""
CONTROLPLANE_DATABASE = "controlplane/database"
"""The password of the control plane's own database role."""
PROMETHEUS_TOKEN = "prometheus/token"  # noqa: S105 - where it is, not what.
"""The bearer token that the Prometheus of the cells' metrics wants, if it wants one."""
DNS_UPDATE_KEY = "dns/update-key"
"""Base64: the TSIG key that signs dynamic updates of the fleet's zone."""


def former_signing_key(key_id: str) -> str:
    """Name the public key (PEM) that verifies what a former signing key signed."""
    return f"{FORMER_SIGNING_KEYS}{key_id}"


def cell_prefix(cell: str) -> str:
    """Return the beginning of the names of everything kept for one cell."""
    return f"cells/{cell}/"


def cell_database(cell: str) -> str:
    """Name the password with which the control plane writes to a cell's database."""
    return f"{cell_prefix(cell)}database"


def cell_gatekeeper_database(cell: str) -> str:
    """Name the password with which a cell's gatekeeper reads its database."""
    return f"{cell_prefix(cell)}gatekeeper-database"


def cell_temporal_database(cell: str) -> str:
    """Name the password with which a cell's Temporal service owns its databases."""
    return f"{cell_prefix(cell)}temporal-database"


def cell_sealing_key(cell: str) -> str:
    """Name the key that seals what only the cell's gatekeeper may open (see cells.ingress)."""
    return f"{cell_prefix(cell)}sealing-key"


def cell_peer_certificate(cell: str) -> str:
    """Name what the cell shows other cells' ingresses: PEM certificate, then its private key."""
    return f"{cell_prefix(cell)}peer-certificate"


def namespace_prefix(namespace: str) -> str:
    """Return the beginning of the names of everything kept for one namespace."""
    return f"namespaces/{namespace}/"


def namespace_database(namespace: str, replica: int = 0) -> str:
    """Name the namespace's own credential for the database of the cell in which it has this
    replica: JSON `{"username": …, "password": …}`."""
    return f"{namespace_prefix(namespace)}database{f'-{replica}' if replica else ''}"


def namespace_certificate(namespace: str) -> str:
    """Name the endpoint's server certificate: PEM chain, then its private key."""
    return f"{namespace_prefix(namespace)}certificate"


def namespace_client_ca(namespace: str) -> str:
    """Name the CA kept for the namespace's clients: PEM certificate, then its private key."""
    return f"{namespace_prefix(namespace)}client-ca"
