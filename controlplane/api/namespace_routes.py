"""The Fleet API's paths about a namespace: what explains it, its ingress, its clients."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends

from controlplane.api.audit_trail import Call
from controlplane.api.authentication import FORWARDED_FOR
from controlplane.api.calls import Calls, answered
from controlplane.api.endpoints import Endpoints
from controlplane.api.fleet_changes import NamespaceChanges, normal_serial
from controlplane.api.fleet_types import (
    CertificatePage,
    CertificateRequest,
    ChangeRequest,
    ClientCa,
    IssuedCertificate,
    NamespaceDetails,
    OperationDetails,
    RequestLimit,
    client_ca,
    issued_certificate,
    namespace_details,
)
from controlplane.api.paging import (
    DEFAULT_PAGE_SIZE,
    foreign,
    page_size,
    page_start,
    page_token,
)
from controlplane.errors import not_found
from controlplane.identity.types import Principal
from controlplane.store.client_certificates import ClientCertificateReads
from provisioning.types import NamespaceView

NOTHING_MORE = ChangeRequest()

_NUMBER = re.compile(r"\d{0,18}")
_NAMESPACE = "/fleet/v1/namespaces/{namespace}"


@dataclass(frozen=True)
class NamespaceRoutes:
    calls: Calls
    changes: NamespaceChanges
    endpoints: Endpoints
    certificates: ClientCertificateReads

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter(prefix=_NAMESPACE)

        @router.get("")
        async def namespace(caller: Caller, namespace: str) -> NamespaceDetails:
            """Return the namespace and why it is as it is."""
            view = await self._seen(caller, "fleet.namespace", namespace)
            return namespace_details(view, await self.endpoints.address(view))

        @router.post("/inspect", status_code=202)
        async def inspect(
            caller: Caller, namespace: str, asked: ChangeRequest = NOTHING_MORE
        ) -> OperationDetails:
            """Look at the world now, say what differs from what was made, and mend it."""
            return await self._change(
                _call(caller, "fleet.inspect", namespace, asked),
                lambda call: self.changes.inspect(caller, namespace, call.operation),
            )

        @router.put("/request-limit", status_code=202)
        async def set_request_limit(
            caller: Caller, namespace: str, limit: RequestLimit
        ) -> OperationDetails:
            """Let clients make so many requests a second, over all of their connections."""
            return await self._change(
                _call(caller, "fleet.request-limit", namespace, limit),
                lambda call: self.changes.set_request_limit(
                    caller, namespace, call.operation, limit.requests_per_second
                ),
            )

        @router.get("/client-ca")
        async def namespace_client_ca(caller: Caller, namespace: str) -> ClientCa:
            """Return the CA whose clients are admitted: the caller's, or the one kept for it."""
            known = client_ca(await self._seen(caller, "fleet.client-ca", namespace))
            if known is None:
                raise not_found(
                    f"namespace {namespace!r} has no client CA: either no client certificate gets "
                    "in, or its managed CA is still being made"
                )
            return known

        @router.post("/client-certificates", status_code=202)
        async def issue(
            caller: Caller, namespace: str, wanted: CertificateRequest
        ) -> OperationDetails:
            """Have the namespace's managed CA issue a client certificate.

            Once the operation is FULFILLED, the certificate is found by `?operation=`.
            """
            return await self._change(
                _call(caller, "fleet.client-certificates.issue", namespace, wanted),
                lambda call: self.changes.issue(caller, namespace, call.operation, wanted),
            )

        @router.get("/client-certificates")
        async def client_certificates(
            caller: Caller,
            namespace: str,
            operation: str = "",
            page_size: int = DEFAULT_PAGE_SIZE,
            page_token: str = "",
        ) -> CertificatePage:
            """Return what the managed CA has issued; with `operation`, by that operation alone."""
            view = await self._seen(caller, "fleet.client-certificates.read", namespace)
            if operation:
                return await self._issued_by(view, caller.account.id, operation)
            return await self._page(view, caller.account.id, page_size, page_token)

        @router.get("/client-certificates/{serial}")
        async def client_certificate(
            caller: Caller, namespace: str, serial: str
        ) -> IssuedCertificate:
            """Return one certificate by its serial number, in hexadecimal."""
            view = await self._seen(caller, "fleet.client-certificates.read", namespace)
            wanted = normal_serial(serial)
            found = await self.certificates.of_serial(caller.account.id, namespace, wanted)
            if found is None:
                raise not_found(f"namespace {namespace!r} has no client certificate {wanted}")
            return issued_certificate(found, view.policy.revoked_serials)

        @router.put("/revoked-certificates/{serial}", status_code=202)
        async def revoke(
            caller: Caller, namespace: str, serial: str, asked: ChangeRequest = NOTHING_MORE
        ) -> OperationDetails:
            """Refuse the client certificate of that serial number, whoever issued it."""
            return await self._set_revoked(caller, namespace, serial, asked, revoked=True)

        @router.delete("/revoked-certificates/{serial}", status_code=202)
        async def restore(
            caller: Caller, namespace: str, serial: str, operation_id: str = ""
        ) -> OperationDetails:
            """Admit the client certificate of that serial number again."""
            asked = ChangeRequest(operation_id=operation_id)
            return await self._set_revoked(caller, namespace, serial, asked, revoked=False)

        return router

    async def _seen(self, caller: Principal, action: str, namespace: str) -> NamespaceView:
        """Return the namespace, if the caller may do this to it and it is there."""
        await self.calls.admitted(caller, action, namespace)
        view = await self.changes.reads.namespace(caller.account.id, namespace)
        if view is None:
            raise not_found(f"namespace {namespace!r} not found")
        return view

    async def _change(
        self, call: Call, begin: Callable[[Call], Awaitable[OperationDetails]]
    ) -> OperationDetails:
        return answered(await self.calls.change(call, lambda: begin(call)))

    async def _set_revoked(
        self, caller: Principal, namespace: str, serial: str, asked: ChangeRequest, *, revoked: bool
    ) -> OperationDetails:
        wanted = normal_serial(serial)
        action = "fleet.certificates.revoke"
        return await self._change(
            _call(caller, action, namespace, asked, serial=wanted, revoked=revoked),
            lambda call: self.changes.set_revoked(
                caller, namespace, call.operation, wanted, revoked=revoked
            ),
        )

    async def _issued_by(
        self, view: NamespaceView, account: str, operation: str
    ) -> CertificatePage:
        found = await self.certificates.of_operation(account, view.id, operation)
        revoked = view.policy.revoked_serials
        return CertificatePage(
            () if found is None else (issued_certificate(found, revoked),), next_page_token=""
        )

    async def _page(
        self, view: NamespaceView, account: str, asked: int, token: str
    ) -> CertificatePage:
        listing, size = f"client certificates of {view.id}", page_size(asked)
        after = page_start(listing, token)
        if not _NUMBER.fullmatch(after):
            raise foreign(token)
        # One more than asked for tells whether there is another page.
        found = await self.certificates.list(
            account, view.id, after=int(after or "0"), limit=size + 1
        )
        page, more = found[:size], len(found) > size
        revoked = view.policy.revoked_serials
        return CertificatePage(
            tuple(issued_certificate(certificate, revoked) for certificate in page),
            next_page_token=page_token(listing, str(page[-1].number)) if more else "",
        )


def _call(
    caller: Principal, action: str, namespace: str, asked: ChangeRequest, **more: str | bool
) -> Call:
    return Call(
        caller,
        action,
        namespace,
        asked.operation_id or str(uuid4()),
        lambda: {"namespace": namespace, **asked.model_dump(), **more},
        FORWARDED_FOR.get(),
    )
