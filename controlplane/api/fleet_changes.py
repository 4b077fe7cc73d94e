"""What the Fleet API changes about a namespace: each an operation of its entity, begun once."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.struct_pb2 import Struct

from controlplane.api import limits
from controlplane.api.changes import note_change
from controlplane.api.fleet_types import CertificateRequest, OperationDetails, operation_details
from controlplane.api.once import Once, claim_of
from controlplane.api.ports import NamespaceWriter
from controlplane.errors import invalid_argument, not_found
from controlplane.identity.types import Principal
from controlplane.store.queries import ReadModel
from provisioning.types import (
    InspectNamespace,
    IssueClientCertificate,
    NamespaceView,
    OperationKind,
    RevokeCertificate,
    SetRequestLimit,
)

Details = dict[str, str | int]
"""A request's fields, as the operation shows them."""

_CSR = re.compile(
    r"\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+"
    r"-----END (?:NEW )?CERTIFICATE REQUEST-----\s*"
)


@dataclass(frozen=True)
class NamespaceChanges:
    reads: ReadModel
    once: Once
    writer: NamespaceWriter

    async def inspect(self, caller: Principal, namespace: str, operation: str) -> OperationDetails:
        async def ask(_: NamespaceView) -> NamespaceView:
            return await self.writer.inspect(namespace, InspectNamespace(operation))

        return await self._begin(caller, OperationKind.INSPECT, namespace, operation, {}, ask)

    async def set_request_limit(
        self, caller: Principal, namespace: str, operation: str, requests_per_second: int
    ) -> OperationDetails:
        async def ask(view: NamespaceView) -> NamespaceView:
            wanted = SetRequestLimit(operation, requests_per_second)
            changed = await self.writer.set_request_limit(namespace, wanted)
            note_change(
                {"requests_per_second": view.policy.requests_per_second},
                {"requests_per_second": requests_per_second},
            )
            return changed

        details: Details = {"requests_per_second": requests_per_second}
        return await self._begin(caller, OperationKind.LIMIT, namespace, operation, details, ask)

    async def issue(
        self, caller: Principal, namespace: str, operation: str, wanted: CertificateRequest
    ) -> OperationDetails:
        check_csr(wanted.csr)

        async def ask(_: NamespaceView) -> NamespaceView:
            lifetime = timedelta(days=wanted.lifetime_days)
            return await self.writer.issue(
                namespace, IssueClientCertificate(operation, wanted.csr, lifetime)
            )

        details: Details = {"csr": wanted.csr, "lifetime_days": wanted.lifetime_days}
        return await self._begin(caller, OperationKind.ISSUE, namespace, operation, details, ask)

    async def set_revoked(
        self, caller: Principal, namespace: str, operation: str, serial: str, *, revoked: bool
    ) -> OperationDetails:
        async def ask(view: NamespaceView) -> NamespaceView:
            wanted = RevokeCertificate(operation, serial, revoked)
            changed = await self.writer.revoke(namespace, wanted)
            note_change({"revoked": serial in view.policy.revoked_serials}, {"revoked": revoked})
            return changed

        kind = OperationKind.REVOKE if revoked else OperationKind.RESTORE
        return await self._begin(caller, kind, namespace, operation, {"serial": serial}, ask)

    async def _begin(
        self,
        caller: Principal,
        kind: OperationKind,
        namespace: str,
        operation: str,
        details: Details,
        ask: Callable[[NamespaceView], Awaitable[NamespaceView]],
    ) -> OperationDetails:
        request = Struct()
        request.update({"namespace": namespace, **details})

        async def ask_present() -> NamespaceView:
            view = await self.reads.namespace(caller.account.id, namespace)
            if view is None:
                raise not_found(f"namespace {namespace!r} not found")
            return await ask(view)

        claim = claim_of(caller, kind, namespace, request, operation)
        return operation_details(namespace, await self.once.begin(claim, ask_present))


def normal_serial(serial: str) -> str:
    """Return the serial number of a certificate as it is kept, however a tool prints it."""
    normal = serial.replace(":", "").replace(" ", "").lower().lstrip("0")
    if not limits.SERIAL.fullmatch(normal):
        raise invalid_argument(
            f"{serial[:100]!r} is not the serial number of a certificate: send it in hexadecimal, "
            "as `openssl x509 -noout -serial` prints it"
        )
    return normal


def check_csr(csr: str) -> None:
    """Raise `invalid_argument` unless this looks like a certificate signing request.

    Whether it can be signed is found out where it is signed.
    """
    if not _CSR.fullmatch(csr):
        raise invalid_argument(
            "csr is not a certificate signing request: send one as PEM, which begins with "
            "-----BEGIN CERTIFICATE REQUEST----- and holds nothing else"
        )
