"""Service accounts, as commands find them and change what they may do."""

from temporalio.api.cloud.cloudservice.v1 import GetServiceAccountsRequest
from temporalio.api.cloud.identity.v1 import ServiceAccount, ServiceAccountSpec

from controlplane.cli.api import PAGE_SIZE, Api
from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.cli.roles import read_accesses, read_role


async def find_service_account(api: Api, name: str) -> ServiceAccount:
    """Return the service account of this name or id; raise CommandFailed if there is none."""
    for each in await service_accounts(api):
        if name in (each.id, each.spec.name):
            return each
    raise CommandFailed(
        f"there is no service account {name}; `controlplane service-account list` shows them"
    )


async def service_accounts(api: Api) -> list[ServiceAccount]:
    """Return every service account that the key may see, by id."""
    found: list[ServiceAccount] = []
    page_token = ""
    while True:
        request = GetServiceAccountsRequest(page_size=PAGE_SIZE, page_token=page_token)
        page = await api.cloud.cloud_service.get_service_accounts(request, retry=True)
        found.extend(page.service_account)
        page_token = page.next_page_token
        if not page_token:
            return found


async def write_access(
    api: Api, spec: ServiceAccountSpec, role: str | None, namespaces: list[str] | None
) -> None:
    """Put role and permissions into the spec, where they are said."""
    if role is None and namespaces is None:
        return
    if spec.HasField("namespace_scoped_access"):
        raise UsageError(
            f"{spec.name} can only reach {spec.namespace_scoped_access.namespace}: change what it "
            "may do there with set-access"
        )
    if role is not None:
        spec.access.account_access.ClearField("role_deprecated")
        spec.access.account_access.role = read_role(role)
    if namespaces is not None:
        spec.access.namespace_accesses.clear()
        for namespace, access in (await read_accesses(api, namespaces)).items():
            spec.access.namespace_accesses[namespace].CopyFrom(access)
