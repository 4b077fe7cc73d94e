"""The canary of a cell: a namespace of the control plane's own, through the cell's real ingress.

It is made by the adapters that make a tenant's namespace, and needs no name in DNS: whoever has the
cell's address asks for the server name there. It takes no capacity, is nobody's in any store of the
control plane, and its account cannot be a tenant's, so that every cell has one, in ring 0 too.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import token_hex

from cells.ingress.gatekeeper.authorizer import prober_identity
from cells.ingress.records import AdmissionRules
from cells.types import CellSpec
from controlplane.ids import namespace_id, server_name
from controlplane.secrets.port import FLEET_CA, PROBER_CA, SecretStore
from provisioning.canary import fly_canary
from provisioning.certificates.x509 import CertificateAndKey, issue_client
from provisioning.handshake import Endpoint
from provisioning.plan import RENEW_BEFORE
from provisioning.ports import Certificates, ClientTrust, Databases, Incarnation, Ingress, Registrar

ACCOUNT = "control-plane"
"""Whose canaries are. An account's id has no hyphen (`ids.ACCOUNT_ID`): it can be no tenant's."""
RETENTION = timedelta(days=1)
MADE_SURE_FOR = timedelta(hours=1)
"""How long what was found complete is taken to be so, unless a canary does not come back."""
CLIENT_VALIDITY = timedelta(minutes=5)

_NOBODY = ClientTrust(client_ca="", managed_ca=False)


def canary_of(cell: str) -> Incarnation:
    """Return the namespace that is the cell's canary; it has one incarnation, for ever."""
    return Incarnation(namespace_id(f"canary-{cell}", ACCOUNT), cell, cell)


@dataclass(frozen=True)
class CellCanary:
    """Flies through cells: `cells.runtime.ports.Canary`."""

    zone: str
    databases: Databases
    certificates: Certificates
    registrar: Registrar
    ingress: Ingress
    secrets: SecretStore
    _made_sure: dict[str, float] = field(default_factory=dict)
    """By cell, on the event loop's clock."""
    _locks: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    _name: str = field(default_factory=lambda: token_hex(4))
    """Canaries of the same name replace each other, and other processes have theirs."""

    async def fly(self, cell: str, spec: CellSpec) -> None:
        """Complete a workflow; raise what says why it did not."""
        async with self._locks[cell]:
            await self._make_sure(cell)
            try:
                await self._fly(cell, spec)
            except BaseException:
                # Perhaps somebody removed what it needs: looked at again next time.
                self._made_sure.pop(cell, None)
                raise

    async def ensure(self, cell: str) -> None:
        """Make the namespace, or mend it; a certificate is renewed well before it expires."""
        target = canary_of(cell)
        name = server_name(target.namespace, self.zone)
        await self.databases.prepare(target, name)
        await self.registrar.register(target, RETENTION, {})
        await self.certificates.ensure(target, name, _NOBODY, RENEW_BEFORE)
        # No client's certificate gets in but the prober's.
        await self.ingress.admit(target, name, AdmissionRules())

    async def _make_sure(self, cell: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._made_sure.get(cell, -float("inf")) < MADE_SURE_FOR.total_seconds():
            return
        await self.ensure(cell)
        self._made_sure[cell] = now

    async def _fly(self, cell: str, spec: CellSpec) -> None:
        target = canary_of(cell)
        ip, _, port = spec.addresses.ingress.rpartition(":")
        endpoint = Endpoint(ip.strip("[]"), int(port), server_name(target.namespace, self.zone))
        roots = (await self._authority(FLEET_CA)).certificate_pem
        client = issue_client(
            await self._authority(PROBER_CA),
            "controlplane-prober",
            uris=(prober_identity(target.namespace),),
            validity=CLIENT_VALIDITY,
        )
        await fly_canary(endpoint, target.namespace, f"{target.uid}-{self._name}", roots, client)

    async def _authority(self, name: str) -> CertificateAndKey:
        pem = await self.secrets.get(name)
        if pem is None:
            raise LookupError(f"the secret store has no {name}")
        return CertificateAndKey.from_pem(pem)
