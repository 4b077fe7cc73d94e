"""`controlplane namespace`: create, list, get, delete, explain, connect."""

import sys
from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from temporalio.api.cloud.cloudservice.v1 import GetNamespacesResponse
from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.api.cloud.resource.v1 import ResourceState

from controlplane.cli.api import connect as connect_to
from controlplane.cli.connection import AddressOption, ApiKeyOption, UrlOption, resolve
from controlplane.cli.explanation import explain_conditions, explain_placement
from controlplane.cli.failures import UsageError, command
from controlplane.cli.fleet_api import details_as_json
from controlplane.cli.operations import TimeoutOption, follow
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_json,
    print_message,
    results,
    table,
)
from controlplane.cli.spec_options import SpecOptions, namespace_spec
from controlplane.cli.worker_connection import (
    as_exports,
    as_json,
    as_text,
    worker_connection,
)

app = typer.Typer(
    help="Create, look at and delete namespaces.", no_args_is_help=True, add_completion=False
)

NameArgument = Annotated[
    str, typer.Argument(help="Short name, or full id with the account.", show_default=False)
]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Return once it is accepted.")]
OperationIdOption = Annotated[
    str | None,
    typer.Option(
        help="Name the operation; asking twice under one id does it once.", show_default=False
    ),
]


class ConnectFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    ENV = "env"


@app.command()
@command
async def create(
    name: Annotated[str, typer.Argument(help="Short name.", show_default=False)],
    region: Annotated[str, typer.Option(help="Such as aws-us-east-1.", show_default=False)],
    ca_file: Annotated[
        Path,
        typer.Option(help="CA bundle (PEM) that signs its clients.", show_default=False),
    ],
    retention_days: Annotated[
        int, typer.Option(min=1, help="How long closed workflows are kept.")
    ] = 30,
    search_attribute: Annotated[
        list[str] | None,
        typer.Option(help="Name=TYPE, such as Customer=KEYWORD; repeatable.", show_default=False),
    ] = None,
    certificate_filter: Annotated[
        list[str] | None,
        typer.Option(
            help="cn=…,o=…,ou=…,san=…: let in only certificates that match; repeatable, any does.",
            show_default=False,
        ),
    ] = None,
    delete_protection: Annotated[
        bool, typer.Option("--delete-protection", help="Refuse to delete it.")
    ] = False,
    operation_id: OperationIdOption = None,
    no_wait: NoWaitOption = False,
    within: TimeoutOption = 600,
    address: AddressOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create a namespace and watch it come to be, until its endpoint is proven to work."""
    spec = namespace_spec(
        SpecOptions(
            name=name,
            region=region,
            ca_file=ca_file,
            retention_days=retention_days,
            search_attributes=tuple(search_attribute or ()),
            certificate_filters=tuple(certificate_filter or ()),
            delete_protection=delete_protection,
        )
    )
    async with connect_to(await resolve(address, url, api_key)) as api:
        accepted = await api.create_namespace(spec, operation_id or str(uuid4()))
        operation = accepted.async_operation.id
        if no_wait:
            _say_how_to_watch(operation)
        else:
            await follow(api, operation, within)
            accepted.async_operation.CopyFrom(await api.operation(operation))
        if output is OutputFormat.JSON:
            print_message(accepted)
        elif no_wait:
            results().print(accepted.namespace)
        else:
            _show(await api.namespace(accepted.namespace))
            notes().print(
                f"\nNext: controlplane namespace connect {accepted.namespace}", markup=False
            )


@app.command("list")
@command
async def list_namespaces(
    address: AddressOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the account's namespaces."""
    async with connect_to(await resolve(address, url, api_key)) as api:
        namespaces = await api.namespaces()
    if output is OutputFormat.JSON:
        print_message(GetNamespacesResponse(namespaces=namespaces))
        return
    if not namespaces:
        notes().print("There are no namespaces. Make one with: controlplane namespace create")
        return
    rows = table("NAMESPACE", "STATE", "REGION", "ENDPOINT", "CREATED")
    for namespace in namespaces:
        rows.add_row(
            namespace.namespace,
            _state(namespace),
            _region(namespace),
            namespace.endpoints.mtls_grpc_address,
            _created(namespace),
        )
    results().print(rows)


@app.command()
@command
async def get(
    name: NameArgument,
    address: AddressOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show one namespace."""
    async with connect_to(await resolve(address, url, api_key)) as api:
        namespace = await api.namespace(name)
    if output is OutputFormat.JSON:
        print_message(namespace)
    else:
        _show(namespace)


@app.command()
@command
async def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    operation_id: OperationIdOption = None,
    no_wait: NoWaitOption = False,
    within: TimeoutOption = 600,
    address: AddressOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Delete a namespace with all its workflows, and leave nothing of it anywhere."""
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"deleting {name} cannot be taken back: confirm it with --yes")
    async with connect_to(await resolve(address, url, api_key)) as api:
        namespace = await api.namespace(name)
        if not yes:
            typer.confirm(
                f"Delete {namespace.namespace} with all its workflows?", abort=True, err=True
            )
        accepted = await api.delete_namespace(namespace, operation_id or str(uuid4()))
        operation = accepted.async_operation.id
        if no_wait:
            _say_how_to_watch(operation)
        else:
            await follow(api, operation, within)
            accepted.async_operation.CopyFrom(await api.operation(operation))
    if output is OutputFormat.JSON:
        print_message(accepted)


@app.command()
@command
async def explain(
    name: NameArgument,
    address: AddressOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say why a namespace is in its cell, why in none of the others, and how it is."""
    async with connect_to(await resolve(address, url, api_key)) as api:
        details = await api.fleet.namespace((await api.namespace(name)).namespace)
    if output is OutputFormat.JSON:
        typer.echo(details_as_json(details))
        return
    for part in explain_placement(details):
        results().print(part)
    results().print()
    results().print(explain_conditions(details))


@app.command()
@command
async def connect(
    name: NameArgument,
    client_cert: Annotated[
        Path | None, typer.Option(help="Your client certificate, PEM.", show_default=False)
    ] = None,
    client_key: Annotated[
        Path | None, typer.Option(help="Its private key, PEM; not read.", show_default=False)
    ] = None,
    address: AddressOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    output: Annotated[
        ConnectFormat,
        typer.Option("--output", "-o", help="For people, for programs, or for a shell to eval."),
    ] = ConnectFormat.TABLE,
) -> None:
    """Show what a worker needs to connect to a namespace."""
    for file in (client_cert, client_key):
        if file is not None and not file.is_file():
            raise UsageError(f"there is no file {file}")
    connection = await resolve(address, url, api_key)
    async with connect_to(connection) as api:
        namespace = await api.namespace(name)
    worker = worker_connection(namespace, connection.ca_file, client_cert, client_key)
    match output:
        case ConnectFormat.TABLE:
            typer.echo(as_text(worker))
        case ConnectFormat.JSON:
            print_json(as_json(worker))
        case ConnectFormat.ENV:
            typer.echo(as_exports(worker))


def _show(namespace: Namespace) -> None:
    facts = [
        ("Namespace", namespace.namespace),
        ("State", _state(namespace)),
        ("Region", _region(namespace)),
        ("Endpoint", namespace.endpoints.mtls_grpc_address or "none yet"),
        ("Retention", f"{namespace.spec.retention_days} days"),
        ("Search attributes", ", ".join(sorted(namespace.spec.search_attributes)) or "none"),
        (
            "Delete protection",
            "on" if namespace.spec.lifecycle.enable_delete_protection else "off",
        ),
        ("Created", _created(namespace)),
        ("Version", namespace.resource_version),
    ]
    if namespace.async_operation_id:
        facts.append(("Operation", namespace.async_operation_id))
    for what, value in facts:
        results().print(f"{what:<19}{value}", markup=False)


def _state(namespace: Namespace) -> str:
    return ResourceState.Name(namespace.state).removeprefix("RESOURCE_STATE_")


def _region(namespace: Namespace) -> str:
    return namespace.active_region or ", ".join(
        replica.region for replica in namespace.spec.replicas
    )


def _created(namespace: Namespace) -> str:
    return moment(namespace.created_time.ToDatetime(UTC))


def _say_how_to_watch(operation: str) -> None:
    notes().print(
        f"Accepted. Watch it with: controlplane operation watch {operation}", markup=False
    )
