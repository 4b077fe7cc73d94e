"""`controlplane namespace create` and `delete`."""

from pathlib import Path
from typing import Annotated

import typer
from temporalio.api.cloud.cloudservice.v1 import CreateNamespaceResponse
from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from controlplane.cli.api import Api
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_region
from controlplane.cli.failures import UsageError
from controlplane.cli.following import conclude
from controlplane.cli.namespace.tags import read_tags
from controlplane.cli.namespace.view import show
from controlplane.cli.options import ApiOptions, ChangeOptions, NameArgument, YesOption, confirm
from controlplane.cli.output import OutputFormat, OutputOption, notes, print_message, results
from controlplane.cli.spec.file import DeclaredNamespace, read_spec_file
from controlplane.cli.spec.options import SpecOptions, new_spec

app = group()


@app.command(
    epilog=example(
        "controlplane namespace create orders --region aws-us-east-1",
        "controlplane namespace create orders --region aws-us-east-1 --ca-file acme-ca.pem "
        "--tag team=payments",
        "controlplane namespace create -f orders.yaml",
    )
)
@command
async def create(
    name: Annotated[
        str | None, typer.Argument(help="Short name.", metavar="NAME", show_default=False)
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="Such as aws-us-east-1; `controlplane region list` shows them.",
            show_default=False,
            autocompletion=complete_region,
        ),
    ] = None,
    replica: Annotated[
        str,
        typer.Option(
            metavar="REGION",
            help="Where it has a replica, too, to fail over to.",
            show_default=False,
            autocompletion=complete_region,
        ),
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="Spec file, YAML or JSON, instead of name and options; - is standard input.",
            show_default=False,
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Repeatable.", show_default=False),
    ] = None,
    *,
    options: SpecOptions,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create a namespace and watch it come to be, until its endpoint is proven to work.

    Without --ca-file the control plane keeps a CA for it, which issues client certificates:
    see `controlplane namespace cert issue`.
    """
    if file is not None:
        if name is not None or region is not None or replica or tag or options.said():
            raise UsageError(f"{file} says what to create: leave out NAME and its options")
        declared = read_spec_file(file)
    elif name is None or region is None:
        raise UsageError("give a NAME and a --region, or a spec file with -f")
    else:
        spec = new_spec(name, region, options, replica)
        declared = (DeclaredNamespace(name, spec, read_tags(tag or ())),)
    if change.operation_id and len(declared) > 1:
        raise UsageError(
            f"{file} declares {len(declared)} namespaces, and --operation-id names one operation: "
            "leave it out, or create them one by one"
        )
    async with api.connect() as opened:
        for each in declared:
            accepted = await _create(opened, each.spec, each.tags or {}, change)
            await _report(opened, accepted, change, output)


@app.command(epilog=example("controlplane namespace delete orders --yes"))
@command
async def delete(
    name: NameArgument,
    yes: YesOption = False,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Delete a namespace with all its workflows, and leave nothing of it anywhere."""
    confirm(f"Delete namespace {name} with all its workflows?", yes)
    async with api.connect() as opened:
        namespace = await opened.namespace(name)
        accepted = await opened.delete_namespace(namespace, change.name_operation())
        ended = await conclude(opened, accepted.async_operation, change)
        accepted.async_operation.CopyFrom(ended)
    if output is OutputFormat.JSON:
        print_message(accepted)


async def _create(
    api: Api, spec: NamespaceSpec, tags: dict[str, str], change: ChangeOptions
) -> CreateNamespaceResponse:
    accepted = await api.create_namespace(spec, change.name_operation(), tags)
    accepted.async_operation.CopyFrom(await conclude(api, accepted.async_operation, change))
    return accepted


async def _report(
    api: Api, accepted: CreateNamespaceResponse, change: ChangeOptions, output: OutputFormat
) -> None:
    if output is OutputFormat.JSON:
        print_message(accepted)
    elif change.no_wait:
        results().print(accepted.namespace)
    else:
        show(await api.namespace(accepted.namespace))
        notes().print(f"\nNext: controlplane namespace connect {accepted.namespace}", markup=False)
