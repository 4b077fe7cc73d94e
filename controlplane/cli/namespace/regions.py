"""`controlplane namespace region`: where a namespace has replicas."""

from typing import Annotated

import typer
from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    DeleteNamespaceRegionRequest,
)
from temporalio.api.cloud.namespace.v1 import Namespace, ReplicaSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation

from controlplane.cli.api import Api, repeatable
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_region
from controlplane.cli.failures import CommandFailed
from controlplane.cli.following import conclude
from controlplane.cli.namespace.aborting import abort_change
from controlplane.cli.namespace.replica_view import show_replicas
from controlplane.cli.options import ApiOptions, ChangeOptions, NameArgument, YesOption, confirm
from controlplane.cli.output import OutputFormat, OutputOption, print_message, print_value
from controlplane.cli.reasons import ReasonOptions
from controlplane.cli.spec.plain import plain

app = group("Add and remove the regions in which a namespace has replicas.")

RegionArgument = Annotated[
    str,
    typer.Argument(
        metavar="REGION",
        help="Such as aws-us-west-2; `controlplane region list` shows them.",
        show_default=False,
        autocompletion=complete_region,
    ),
]


@app.command(epilog=example("controlplane namespace region add orders aws-us-west-2"))
@command
async def add(
    name: NameArgument,
    region: RegionArgument,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Add a replica in another region, and watch it come to be.

    Everything there is is copied and compared. A region that the namespace has already gets a
    second replica, in a cell that does not fail together with the first.
    """
    operation = change.name_operation()
    async with api.connect() as opened:
        namespace = await opened.namespace(name)
        regions = [replica.region for replica in plain(namespace.spec).replicas]
        if region in regions:
            accepted = await _add_second(opened, namespace, region, operation)
        else:
            accepted = await _add(opened, namespace, region, operation)
        ended = await conclude(opened, accepted, change)
        if output is OutputFormat.TABLE and not change.no_wait:
            show_replicas(await opened.fleet.replicas(namespace.namespace))
    if output is OutputFormat.JSON:
        print_message(ended)


@app.command(epilog=example("controlplane namespace region remove orders aws-us-west-2"))
@command
async def remove(
    name: NameArgument,
    region: RegionArgument,
    yes: YesOption = False,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Remove the replica in a region in which the namespace is not active.

    The region may not be returned to for a while: 7 days, unless the fleet is set up otherwise.
    """
    confirm(f"Remove the replica of namespace {name} in {region}?", yes)
    operation = change.name_operation()
    async with api.connect() as opened:
        namespace = await opened.namespace(name)
        request = DeleteNamespaceRegionRequest(
            namespace=namespace.namespace,
            region=region,
            resource_version=namespace.resource_version,
            async_operation_id=operation,
        )
        with repeatable(operation):
            answer = await opened.cloud.cloud_service.delete_namespace_region(request, retry=True)
        ended = await conclude(opened, answer.async_operation, change)
    if output is OutputFormat.JSON:
        print_message(ended)


@app.command(epilog=example("controlplane namespace region abort orders --reason 'not that one'"))
@command
async def abort(
    name: NameArgument,
    yes: YesOption = False,
    *,
    why: ReasonOptions,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Undo what is being done to a namespace's replicas, as far as there is a way back."""
    reason = why.given()
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        under_way = (await opened.fleet.replicas(namespace)).change
        if under_way is None:
            raise CommandFailed(f"nothing is being done to the replicas of {namespace}")
        begun = await abort_change(opened, namespace, under_way, reason, change, yes)
        if output is OutputFormat.TABLE and not change.no_wait:
            show_replicas(await opened.fleet.replicas(namespace))
    if output is OutputFormat.JSON:
        print_value(begun)


async def _add(api: Api, namespace: Namespace, region: str, operation: str) -> AsyncOperation:
    request = AddNamespaceRegionRequest(
        namespace=namespace.namespace,
        region=region,
        resource_version=namespace.resource_version,
        async_operation_id=operation,
    )
    with repeatable(operation):
        answer = await api.cloud.cloud_service.add_namespace_region(request, retry=True)
    return answer.async_operation


async def _add_second(
    api: Api, namespace: Namespace, region: str, operation: str
) -> AsyncOperation:
    spec = plain(namespace.spec)
    spec.replicas.append(ReplicaSpec(region=region))
    return await api.update_namespace(namespace, spec, operation)
