"""`controlplane namespace list`, `get`, `explain` and `connect`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from temporalio.api.cloud.cloudservice.v1 import GetNamespacesResponse

from controlplane.cli.command import command, example, group
from controlplane.cli.explanation import explain_conditions, explain_placement
from controlplane.cli.failures import UsageError
from controlplane.cli.namespace import view
from controlplane.cli.namespace.replica_view import show_replicas
from controlplane.cli.options import ApiOptions, NameArgument
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    notes,
    print_json,
    print_message,
    print_value,
    results,
    table,
)
from controlplane.cli.spec.text import as_spec_file
from controlplane.cli.worker_connection import (
    as_exports,
    as_json,
    worker_connection,
)
from controlplane.cli.worker_snippets import as_text

app = group()


class GetFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class ConnectFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    ENV = "env"


@app.command("list")
@command
async def list_namespaces(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """List the account's namespaces."""
    async with api.connect() as opened:
        namespaces = await opened.namespaces()
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
            view.state(namespace),
            view.region(namespace),
            view.endpoint(namespace),
            view.created(namespace),
        )
    results().print(rows)


@app.command(
    epilog=example(
        "controlplane namespace get orders -o yaml > orders.yaml",
        "controlplane namespace apply -f orders.yaml",
    )
)
@command
async def get(
    name: NameArgument,
    *,
    api: ApiOptions,
    output: Annotated[
        GetFormat,
        typer.Option(
            "--output", "-o", help="For people, for programs, or a spec file to change and apply."
        ),
    ] = GetFormat.TABLE,
) -> None:
    """Show one namespace."""
    async with api.connect() as opened:
        namespace = await opened.namespace(name)
        several = len(namespace.replicas) > 1 and output is GetFormat.TABLE
        replicas = await opened.fleet.replicas(namespace.namespace) if several else None
    match output:
        case GetFormat.TABLE:
            view.show(namespace)
            if replicas is not None:
                results().print()
                show_replicas(replicas)
        case GetFormat.JSON:
            print_message(namespace)
        case GetFormat.YAML:
            typer.echo(as_spec_file(namespace), nl=False)


@app.command()
@command
async def explain(
    name: NameArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Say why a namespace is in its cell, why in none of the others, and how it is."""
    async with api.connect() as opened:
        details = await opened.details(name)
        replicas = await opened.fleet.replicas(details.id)
    if output is OutputFormat.JSON:
        print_value({**vars(details), "replicas": replicas})
        return
    for part in explain_placement(details):
        results().print(part)
    results().print()
    results().print(explain_conditions(details))
    results().print()
    results().print("\n".join(replicas.words), markup=False)


@app.command(
    epilog=example(
        'eval "$(controlplane namespace connect orders -o env --client-cert worker.pem '
        '--client-key worker.key)"',
        'eval "$(controlplane namespace connect orders -o env --with-api-key)"',
    )
)
@command
async def connect(
    name: NameArgument,
    client_cert: Annotated[
        Path | None, typer.Option(help="Your client certificate, PEM.", show_default=False)
    ] = None,
    client_key: Annotated[
        Path | None, typer.Option(help="Its private key, PEM; not read.", show_default=False)
    ] = None,
    with_api_key: Annotated[
        bool,
        typer.Option(
            "--with-api-key",
            help="Connect with an API key; so it is anyway where no certificate gets in.",
        ),
    ] = False,
    *,
    api: ApiOptions,
    output: Annotated[
        ConnectFormat,
        typer.Option("--output", "-o", help="For people, for programs, or for a shell to eval."),
    ] = ConnectFormat.TABLE,
) -> None:
    """Show what a worker needs to connect to a namespace. No key is ever shown."""
    for file in (client_cert, client_key):
        if file is not None and not file.is_file():
            raise UsageError(f"there is no file {file}")
    if with_api_key and (client_cert or client_key):
        raise UsageError("a client shows a certificate or an API key: give one of them")
    async with api.connect() as opened:
        namespace = await opened.namespace(name)
        ca_file = opened.connection.ca_file
    worker = worker_connection(
        namespace, ca_file, client_cert, client_key, with_api_key=with_api_key
    )
    match output:
        case ConnectFormat.TABLE:
            typer.echo(as_text(worker))
        case ConnectFormat.JSON:
            print_json(as_json(worker))
        case ConnectFormat.ENV:
            typer.echo(as_exports(worker))
