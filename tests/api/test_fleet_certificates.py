"""Client CAs and client certificates in the Fleet API."""

from dataclasses import replace

import httpx
from pydantic import TypeAdapter

from controlplane.api.fleet_types import (
    CertificatePage,
    ClientCa,
    IssuedCertificate,
)
from controlplane.store.projections import Projections
from provisioning.types import (
    IngressPolicy,
)
from tests.api.managed import active, managed, record
from tests.api.running import CLIENT_CA, RunningApi, Tenant
from tests.store.views import namespace_view


async def test_the_client_ca_is_the_callers_or_the_one_that_is_kept(
    api: RunningApi, tenant: Tenant
) -> None:
    namespace = await active(api, tenant)
    stranger = await api.tenant()
    view = await managed(api, stranger)

    async with tenant.http() as http:
        brought = await http.get(f"/fleet/v1/namespaces/{namespace}/client-ca")
    async with stranger.http() as http:
        kept = await http.get(f"/fleet/v1/namespaces/{view.id}/client-ca")

    ours = TypeAdapter(ClientCa).validate_json(brought.content)
    assert (ours.pem, ours.managed) == (CLIENT_CA.decode(), False)
    theirs = TypeAdapter(ClientCa).validate_json(kept.content)
    assert theirs.managed
    assert view.observed.certificate is not None
    assert theirs.pem == view.observed.certificate.managed_ca


async def test_without_a_client_ca_there_is_none_to_show(api: RunningApi, tenant: Tenant) -> None:
    spec = replace(namespace_view().spec, client_ca="", api_keys=True)
    view = namespace_view(f"orders.{tenant.account}", spec=spec)
    await Projections(api.pool).publish_namespace(view)

    async with tenant.http() as http:
        answer = await http.get(f"/fleet/v1/namespaces/{view.id}/client-ca")

    assert answer.status_code == httpx.codes.NOT_FOUND


async def test_issued_certificates_are_listed_page_by_page_and_found(
    api: RunningApi, tenant: Tenant
) -> None:
    view = await managed(api, tenant)
    certificates = [await record(api, view, number) for number in range(3)]
    revoked = replace(certificates[1], revoked=True)
    policy = IngressPolicy(revoked_serials=(revoked.serial,))
    await Projections(api.pool).publish_namespace(replace(view, revision=2, policy=policy))

    async with tenant.http() as http:
        url = f"/fleet/v1/namespaces/{view.id}/client-certificates"
        first = await http.get(url, params={"page_size": 2})
        page = TypeAdapter(CertificatePage).validate_json(first.content)
        rest = await http.get(url, params={"page_token": page.next_page_token})
        by_operation = await http.get(url, params={"operation": "op-1"})
        by_serial = await http.get(f"{url}/{revoked.serial.upper()}")
        absent = await http.get(f"{url}/abc")
        unknown = await http.get(url, params={"operation": "op-9"})
        foreign = await http.get(url, params={"page_token": "nonsense"})

    last = TypeAdapter(CertificatePage).validate_json(rest.content)
    assert (*page.certificates, *last.certificates) == (certificates[0], revoked, certificates[2])
    assert last.next_page_token == ""
    found = TypeAdapter(CertificatePage).validate_json(by_operation.content)
    assert found.certificates == (revoked,)
    assert TypeAdapter(IssuedCertificate).validate_json(by_serial.content) == revoked
    assert absent.status_code == httpx.codes.NOT_FOUND
    assert unknown.json()["certificates"] == []
    assert foreign.json()["status"] == "INVALID_ARGUMENT"
