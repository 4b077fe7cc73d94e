"""What cells show each other's ingresses: client certificates of the fleet's peer CA."""

from dataclasses import dataclass
from datetime import timedelta

from cells.ingress.gatekeeper.authorizer import peer_identity
from controlplane.secrets.port import PEER_CA, SecretStore
from provisioning.certificates.x509 import CertificateAndKey, issue_client

_VALIDITY = timedelta(days=3650)


@dataclass(frozen=True)
class FleetPeers:
    """Adapter of `cells.stores.ports.PeerAuthority`."""

    secrets: SecretStore

    async def certify(self, cell: str) -> bytes:
        pem = await self.secrets.get(PEER_CA)
        if pem is None:
            raise RuntimeError(
                f"the secret store holds no {PEER_CA!r}: put the CA there that signs what cells "
                "show each other, certificate and private key as PEM"
            )
        authority = CertificateAndKey.from_pem(pem)
        issued = issue_client(authority, "ingress", uris=(peer_identity(cell),), validity=_VALIDITY)
        return issued.to_pem()
