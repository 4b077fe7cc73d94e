"""What has to be known before a cell's manifests can be written: the cluster, and the secrets."""

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from cells.runtime.kubernetes.client import ClusterClient
from cells.runtime.kubernetes.layout import CellSecrets, Features
from controlplane.errors import rejected
from controlplane.secrets.port import (
    FLEET_CA,
    PEER_CA,
    PROBER_CA,
    SecretStore,
    cell_gatekeeper_database,
    cell_peer_certificate,
    cell_sealing_key,
    cell_temporal_database,
)

_SEVERAL_VERSIONS = {
    "PodDisruptionBudget": ("policy/v1", "policy/v1beta1"),
    "ServiceMonitor": ("monitoring.coreos.com/v1",),
}
"""By kind, its versions, the best first."""


async def features(client: ClusterClient) -> Features:
    """Ask the cluster what it knows."""
    kinds = {}
    for kind, versions in _SEVERAL_VERSIONS.items():
        for version in versions:
            if await client.serves(version, kind):
                kinds[kind] = version
                break
    return Features(await client.version(), kinds)


async def cell_secrets(store: SecretStore, cell: str) -> CellSecrets:
    """Read what the cell's services are started with."""
    return CellSecrets(
        temporal_database=(await _read(store, cell_temporal_database(cell))).decode(),
        gatekeeper_database=(await _read(store, cell_gatekeeper_database(cell))).decode(),
        sealing_key=await _read(store, cell_sealing_key(cell)),
        peer_certificate=(await _read(store, cell_peer_certificate(cell))).decode(),
        endpoint_ca=_certificate(await _read(store, FLEET_CA)),
        prober_ca=_certificate(await _read(store, PROBER_CA)),
        peer_ca=_certificate(await _read(store, PEER_CA)),
    )


async def _read(store: SecretStore, name: str) -> bytes:
    value = await store.get(name)
    if value is None:
        raise rejected(
            f"the secret store has no {name}: the cell's stores are prepared before its services, "
            f"and the fleet's authorities before its first cell"
        )
    return value


def _certificate(pem: bytes) -> str:
    """Return the first certificate of a file that has its private key in it, too."""
    return load_pem_x509_certificate(pem).public_bytes(Encoding.PEM).decode()
