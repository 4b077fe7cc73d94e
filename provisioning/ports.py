"""What the steps of provisioning ask of the outside world.

Every method can be repeated without harm: "already so" and "already gone" are success. A uid
fences each change, so that a late call for an earlier incarnation of a namespace does nothing to
its successor. Failures that trying again cannot help are raised as `errors.rejected`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cells.ingress.records import AdmissionRules
from cells.types import CellAddresses, CellView, Reserve
from provisioning.types import (
    AdmissionFacts,
    CertificateFacts,
    ClientCertificate,
    DatabaseFacts,
    DnsFacts,
    NamespaceView,
    RegistrationFacts,
    SearchAttributeType,
    SigningRequest,
)


@dataclass(frozen=True)
class Incarnation:
    """One namespace in one cell, told apart from others of the same name by its uid."""

    namespace: str
    uid: str
    cell: str
    replica: int = 0
    """Of all replicas the namespace ever had; 0 for the first. One that comes back to a cell is not
    the one that was removed there."""

    @property
    def record_uid(self) -> str:
        """Names this replica in its cell's database."""
        return f"{self.uid}.{self.replica}" if self.replica else self.uid


class Fleet(Protocol):
    """The cells, as placement sees them."""

    async def cells(self) -> list[CellView]:
        """Return every cell."""
        ...

    async def reserve(self, cell: str, request: Reserve) -> None:
        """Hold capacity; raise `errors.no_capacity` when the cell has just filled up."""
        ...


class CellDirectory(Protocol):
    async def locate(self, cell: str) -> CellAddresses:
        """Return where the cell's parts answer."""
        ...


class Databases(Protocol):
    """A namespace's record and role in its cell's database."""

    async def prepare(self, target: Incarnation, server_name: str) -> DatabaseFacts:
        """Create the record (admitting nobody), the role and its first credential.

        Where they exist already, whatever of them differs from what it should be is mended.
        """
        ...

    async def rotate(self, target: Incarnation, replaces: datetime) -> DatabaseFacts:
        """Put a new credential in place of the one made at `replaces` (its `rotated_at`).

        The one before stays valid until the next rotation. If another one is current already,
        this call was made before and changes nothing.
        """
        ...

    async def remove(self, target: Incarnation) -> None:
        """Remove the record, the roles and the credential."""
        ...

    async def observe(self, target: Incarnation) -> DatabaseFacts | None: ...


@dataclass(frozen=True)
class ClientTrust:
    """Whose client certificates a namespace takes."""

    client_ca: str
    """PEM: the caller's CA bundle, or empty."""
    managed_ca: bool
    """Whether a CA is kept for the namespace."""


class Certificates(Protocol):
    """The endpoint's server certificate, the checks on the caller's CA bundle, the managed CA."""

    async def ensure(
        self, target: Incarnation, server_name: str, trust: ClientTrust, renew_before: timedelta
    ) -> CertificateFacts:
        """Issue a certificate, unless the present one is good for longer than `renew_before`.

        With `managed_ca`, make the namespace's CA unless it has one; it stays until `destroy`, so
        that switching it off and on again keeps the clients it has.
        """
        ...

    async def sign(self, target: Incarnation, request: SigningRequest) -> ClientCertificate:
        """Issue a client certificate by the managed CA, the same one (serial, validity) every
        time for one request. `certificates.requests.check` says what cannot be signed."""
        ...

    async def destroy(self, target: Incarnation) -> None:
        """Forget certificate and key, and the managed CA."""
        ...

    async def observe(self, target: Incarnation, trust: ClientTrust) -> CertificateFacts | None: ...


class Registrar(Protocol):
    """The namespace on its cell's Temporal service."""

    async def register(
        self,
        target: Incarnation,
        retention: timedelta,
        search_attributes: dict[str, SearchAttributeType],
    ) -> RegistrationFacts:
        """Register the namespace, global from birth; change what differs."""
        ...

    async def rename(self, target: Incarnation, field: str, old: str, new: str) -> None:
        """Call a search attribute `new` that was `old`; `field` is where the visibility store
        keeps it, so that a call which died halfway is completed by the next one."""
        ...

    async def deregister(self, target: Incarnation) -> None: ...

    async def observe(self, target: Incarnation) -> RegistrationFacts | None: ...


class Ingress(Protocol):
    """Who gets through the cell's ingress to the namespace."""

    async def admit(
        self,
        target: Incarnation,
        server_name: str,
        rules: AdmissionRules,
    ) -> AdmissionFacts:
        """Open the endpoint, and return once the gatekeeper enforces exactly this.

        Where requests go stays as it is, whatever the rules say: that is for `route` alone, which a
        failover calls while others change the rules.
        """
        ...

    async def dismiss(self, target: Incarnation) -> None:
        """Close the endpoint, and return once the gatekeeper refuses everyone."""
        ...

    async def route(self, target: Incarnation, active_cell: str) -> None:
        """Pass requests on to `active_cell`, or answer them here if it is empty; return once the
        gatekeeper does, if anybody is admitted. Nothing else of the record changes."""
        ...

    async def observe(self, target: Incarnation) -> AdmissionFacts | None: ...


class Dns(Protocol):
    """The endpoint's name in the fleet's zone."""

    async def publish(self, name: str, target: str, ttl: timedelta, uid: str) -> DnsFacts:
        """Publish `name` as an alias of `target`; return once every authoritative server says so,
        with the TTL asked for and without a stale denial.

        From then on the name is that of the incarnation `uid`: no other one's calls change it.
        """
        ...

    async def withdraw(self, name: str, uid: str) -> None:
        """Remove the name, unless it is another incarnation's; return once every authoritative
        server denies it."""
        ...

    async def observe(self, name: str) -> DnsFacts | None: ...


class Prober(Protocol):
    async def prove(
        self,
        target: Incarnation,
        server_name: str,
        certificate_fingerprint: str,
        api_keys: bool,
        at: str = "",
    ) -> None:
        """Raise unless the endpoint does what it should, seen from outside: where its name leads,
        or at the ingress of the cell `at`.

        The TLS handshake shows the right certificate; a client without a certificate and one with
        a foreign certificate are refused, where `api_keys` get in each of their requests; a canary
        workflow completes.
        """
        ...


class AccountKeys(Protocol):
    async def ensure(self, cell: str, account: str) -> None:
        """Return once the cell's gatekeeper knows the account's API keys as they are now."""
        ...


class ClientCertificates(Protocol):
    async def record(
        self, namespace: str, uid: str, operation: str, issued: ClientCertificate
    ) -> None:
        """Make the certificate readable; the first one recorded for an operation stays."""
        ...

    async def forget(self, namespace: str, uid: str) -> None:
        """Remove what was recorded of the incarnation's certificates."""
        ...


class NamespaceProjection(Protocol):
    async def publish_namespace(self, view: NamespaceView) -> None:
        """Make the view readable, unless a newer revision already is."""
        ...
