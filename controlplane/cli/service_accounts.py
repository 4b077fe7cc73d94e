"""`controlplane service-account`: machines of the account, and what they may do."""

from datetime import UTC
from typing import Annotated

import typer
from temporalio.api.cloud.cloudservice.v1 import (
    CreateServiceAccountRequest,
    DeleteServiceAccountRequest,
    GetServiceAccountsResponse,
    SetServiceAccountNamespaceAccessRequest,
    UpdateServiceAccountRequest,
)
from temporalio.api.cloud.identity.v1 import ServiceAccountSpec

from controlplane.cli.api import repeatable
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_namespace, complete_service_account
from controlplane.cli.failures import NothingToChange, UsageError
from controlplane.cli.following import conclude
from controlplane.cli.machines import find_service_account, service_accounts, write_access
from controlplane.cli.options import ApiOptions, ChangeOptions, YesOption, confirm
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_facts,
    print_message,
    results,
    table,
)
from controlplane.cli.roles import (
    PERMISSIONS,
    ROLES,
    read_accesses,
    read_permission,
    told,
)

app = group("Manage service accounts.")

NOTHING = "none"
"""The permission that takes access away."""

AccountArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The service account, by name or id.",
        show_default=False,
        autocompletion=complete_service_account,
    ),
]
RoleOption = Annotated[
    str | None, typer.Option(help=f"Role in the account: {ROLES}.", show_default=False)
]
NamespaceOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMESPACE=PERMISSION",
        help=f"What it may do there, of {PERMISSIONS}; repeatable.",
        show_default=False,
    ),
]


@app.command(
    epilog=example(
        "controlplane service-account create deployer --role developer --namespace orders=admin",
        "controlplane service-account create orders-worker --only orders=write",
    )
)
@command
async def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Unique in the account.", show_default=False)
    ],
    role: RoleOption = None,
    namespace: NamespaceOption = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE=PERMISSION",
            help="Make a service account that can ever only reach that one.",
            show_default=False,
        ),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create a service account; then give it a key with `controlplane apikey create`."""
    if only is not None and (role is not None or namespace):
        raise UsageError("--only leaves no other access: leave out --role and --namespace")
    if only is None and role is None:
        raise UsageError(
            f"give it a --role in the account, of {ROLES}, or one namespace with --only"
        )
    operation = change.name_operation()
    async with api.connect() as opened:
        spec = ServiceAccountSpec(name=name, description=description)
        if only is not None:
            for scope, access in (await read_accesses(opened, [only])).items():
                spec.namespace_scoped_access.namespace = scope
                spec.namespace_scoped_access.access.CopyFrom(access)
        else:
            await write_access(opened, spec, role, namespace or [])
        request = CreateServiceAccountRequest(spec=spec, async_operation_id=operation)
        with repeatable(operation):
            created = await opened.cloud.cloud_service.create_service_account(request, retry=True)
        created.async_operation.CopyFrom(await conclude(opened, created.async_operation, change))
    if output is OutputFormat.JSON:
        print_message(created)
    else:
        results().print(created.service_account_id)
        notes().print(
            f"\nNext: controlplane apikey create --name {name} --service-account {name}",
            markup=False,
        )


@app.command("list")
@command
async def list_service_accounts(
    *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """List the account's service accounts."""
    async with api.connect() as opened:
        found = await service_accounts(opened)
    if output is OutputFormat.JSON:
        print_message(GetServiceAccountsResponse(service_account=found))
        return
    if not found:
        notes().print(
            "There are no service accounts. Make one with: controlplane service-account create"
        )
        return
    rows = table("ID", "NAME", "MAY", "DESCRIPTION")
    for each in found:
        rows.add_row(each.id, each.spec.name, told(each.spec), each.spec.description)
    results().print(rows)


@app.command()
@command
async def get(
    name: AccountArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Show one service account."""
    async with api.connect() as opened:
        found = await find_service_account(opened, name)
    if output is OutputFormat.JSON:
        print_message(found)
        return
    print_facts(
        [
            ("Service account", found.id),
            ("Name", found.spec.name),
            ("Description", found.spec.description),
            ("May", told(found.spec)),
            ("Created", moment(found.created_time.ToDatetime(UTC))),
            ("Version", found.resource_version),
        ]
    )


@app.command(
    epilog=example("controlplane service-account update deployer --role read --namespace a=write")
)
@command
async def update(
    name: AccountArgument,
    new_name: Annotated[
        str | None, typer.Option("--name", help="A new name.", show_default=False)
    ] = None,
    role: RoleOption = None,
    namespace: NamespaceOption = None,
    description: Annotated[
        str | None, typer.Option(help="What it is for.", show_default=False)
    ] = None,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Change some of a service account, and leave the rest of it as it is.

    --namespace replaces all its permissions in namespaces; `set-access` changes one.
    """
    if new_name is None and role is None and namespace is None and description is None:
        raise UsageError("what is to change? Give --name, --role, --namespace or --description")
    operation = change.name_operation()
    async with api.connect() as opened:
        found = await find_service_account(opened, name)
        before = ServiceAccountSpec()
        before.CopyFrom(found.spec)
        if new_name is not None:
            found.spec.name = new_name
        if description is not None:
            found.spec.description = description
        await write_access(opened, found.spec, role, namespace)
        if found.spec == before:
            raise NothingToChange(f"nothing to change: {name} is so already")
        request = UpdateServiceAccountRequest(
            service_account_id=found.id,
            spec=found.spec,
            resource_version=found.resource_version,
            async_operation_id=operation,
        )
        with repeatable(operation):
            answer = await opened.cloud.cloud_service.update_service_account(request, retry=True)
        ended = await conclude(opened, answer.async_operation, change)
    if output is OutputFormat.JSON:
        print_message(ended)


@app.command(
    "set-access",
    epilog=example(
        "controlplane service-account set-access deployer orders write",
        "controlplane service-account set-access deployer orders none",
    ),
)
@command
async def set_access(
    name: AccountArgument,
    namespace: Annotated[
        str,
        typer.Argument(
            metavar="NAMESPACE",
            help="Short name, or full id.",
            show_default=False,
            autocompletion=complete_namespace,
        ),
    ],
    permission: Annotated[
        str,
        typer.Argument(
            metavar="PERMISSION", help=f"{PERMISSIONS}, or {NOTHING}.", show_default=False
        ),
    ],
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say what a service account may do in one namespace."""
    access = None if permission == NOTHING else read_permission(permission)
    operation = change.name_operation()
    async with api.connect() as opened:
        found = await find_service_account(opened, name)
        request = SetServiceAccountNamespaceAccessRequest(
            service_account_id=found.id,
            namespace=await opened.namespace_id(namespace),
            access=access,
            resource_version=found.resource_version,
            async_operation_id=operation,
        )
        with repeatable(operation):
            answer = await opened.cloud.cloud_service.set_service_account_namespace_access(
                request, retry=True
            )
        ended = await conclude(opened, answer.async_operation, change)
    if output is OutputFormat.JSON:
        print_message(ended)


@app.command()
@command
async def delete(
    name: AccountArgument,
    yes: YesOption = False,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Delete a service account, and its API keys with it."""
    confirm(f"Delete service account {name} and its API keys?", yes)
    operation = change.name_operation()
    async with api.connect() as opened:
        found = await find_service_account(opened, name)
        request = DeleteServiceAccountRequest(
            service_account_id=found.id,
            resource_version=found.resource_version,
            async_operation_id=operation,
        )
        with repeatable(operation):
            answer = await opened.cloud.cloud_service.delete_service_account(request, retry=True)
        ended = await conclude(opened, answer.async_operation, change)
    if output is OutputFormat.JSON:
        print_message(ended)
