"""Namespaces as the Fleet API finds them: active, or with a CA that is kept for them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from controlplane.api.fleet_types import (
    IssuedCertificate,
)
from controlplane.store.client_certificates import RecordedClientCertificates
from controlplane.store.projections import Projections
from provisioning.certificates import managed_ca
from provisioning.ports import Incarnation
from provisioning.types import (
    NamespaceView,
    SigningRequest,
)
from tests.api.running import RunningApi, Tenant
from tests.store.views import CELL, namespace_view

CSR = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worker")]))
    .sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    .public_bytes(Encoding.PEM)
    .decode()
)
CHANGES: dict[str, tuple[str, str, dict[str, object] | None]] = {
    "inspect": ("POST", "inspect", None),
    "limit": ("PUT", "request-limit", {"requests_per_second": 50}),
    "issue": ("POST", "client-certificates", {"csr": CSR, "lifetime_days": 30}),
    "revoke": ("PUT", "revoked-certificates/0A:1B", None),
}


async def managed(api: RunningApi, tenant: Tenant) -> NamespaceView:
    """Return a namespace with a managed CA, as its entity made it."""
    spec = replace(namespace_view().spec, client_ca="", managed_ca=True)
    view = namespace_view(f"orders.{tenant.account}", uid=f"uid-{tenant.account}", spec=spec)
    ca = managed_ca.make(Incarnation(view.id, view.uid, CELL))
    certificate = view.observed.certificate
    assert certificate is not None
    certificate = replace(certificate, managed_ca=ca.certificate_pem.decode())
    view = replace(view, observed=replace(view.observed, certificate=certificate))
    await Projections(api.pool).publish_namespace(view)
    return view


async def active(api: RunningApi, tenant: Tenant, *, managed_ca: bool = False) -> str:
    """Return a namespace whose entity takes requests."""
    namespace = await tenant.create("orders")
    state = api.writer.namespaces[namespace]
    assert state.spec is not None
    if managed_ca:
        state.spec = replace(state.spec, client_ca="", managed_ca=True)
    await api.settle(namespace)
    return namespace


async def record(api: RunningApi, view: NamespaceView, number: int) -> IssuedCertificate:
    """Have the namespace's CA issue a certificate for an operation."""
    target = Incarnation(view.id, view.uid, CELL)
    request = SigningRequest(f"op-{number}", CSR, timedelta(days=30), datetime.now(UTC))
    made = managed_ca.sign(managed_ca.make(target), target, request)
    recorded = RecordedClientCertificates(api.pool)
    await recorded.record(view.id, view.uid, request.operation, made)
    return IssuedCertificate(**vars(made), operation=request.operation, revoked=False)
