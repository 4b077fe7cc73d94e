"""`controlplane namespace update`, `limit` and `search-attribute`: changes of one namespace."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from temporalio.api.cloud.cloudservice.v1 import RenameCustomSearchAttributeRequest
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec

from controlplane.cli.api import ChangedMeanwhile, repeatable
from controlplane.cli.command import command, example, group
from controlplane.cli.failures import NothingToChange, UsageError
from controlplane.cli.following import conclude, follow, say_how_to_watch
from controlplane.cli.options import ApiOptions, ChangeOptions, NameArgument
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    notes,
    print_message,
    print_value,
    results,
)
from controlplane.cli.spec.ca_bundle import with_added, without
from controlplane.cli.spec.difference import spec_changes
from controlplane.cli.spec.options import SpecOptions
from controlplane.cli.spec.plain import plain

app = group()
search_attributes = group("Rename search attributes.")


@dataclass(frozen=True)
class ChangedParts:
    """What only a namespace that is there already can be asked."""

    add_ca: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Trust the CAs of this file (PEM) too; repeatable.",
            show_default=False,
        ),
    ] = None
    remove_ca: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|SHA-256",
            help="Trust the CAs of this file no longer, or that of this SHA-256 fingerprint; "
            "repeatable.",
            show_default=False,
        ),
    ] = None
    managed_ca: Annotated[
        bool,
        typer.Option("--managed-ca", help="Trust the CA that the control plane keeps for it."),
    ] = False
    no_certificate_filters: Annotated[
        bool,
        typer.Option("--no-certificate-filters", help="Let in every certificate of its CAs."),
    ] = False
    no_codec: Annotated[bool, typer.Option("--no-codec", help="Forget its codec server.")] = False

    def said(self) -> bool:
        return any(vars(self).values())

    def write_to(self, spec: NamespaceSpec) -> None:
        """Make the spec what was asked for; raise UsageError if it cannot be."""
        mtls = spec.mtls_auth
        if self.add_ca or self.remove_ca:
            bundle = with_added(mtls.accepted_client_ca, self.add_ca or ())
            bundle = without(bundle, self.remove_ca or ())
            if not bundle:
                raise UsageError(
                    "that leaves no CA to trust: add another with --add-ca, or say --managed-ca "
                    "or --no-mtls"
                )
            mtls.enabled = True
            mtls.accepted_client_ca = bundle
        if self.managed_ca:
            mtls.enabled = True
            mtls.ClearField("accepted_client_ca")
        if self.no_certificate_filters:
            del mtls.certificate_filters[:]
        if self.no_codec:
            spec.ClearField("codec_server")


@app.command(
    epilog=example(
        "controlplane namespace update orders --retention-days 60 --delete-protection",
        "controlplane namespace update orders --add-ca next-ca.pem",
        "controlplane namespace update orders --remove-ca acme-ca.pem",
        "controlplane namespace update orders --no-mtls --api-keys",
    )
)
@command
async def update(
    name: NameArgument,
    *,
    options: SpecOptions,
    parts: ChangedParts,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Change some of a namespace, and leave the rest of it as it is.

    Its CAs are replaced by --ca-file, or one by one with --add-ca and --remove-ca, which an
    overlap takes. Search attributes can be added, not removed. When somebody else changes the
    namespace at the same time, it is read once more and the change made to that.
    """
    _check(options, parts)
    operation = change.name_operation()
    async with api.connect() as opened:
        namespace = await opened.namespace(name)
        wanted = _changed(namespace, options, parts)
        _say(namespace, wanted)
        try:
            accepted = await opened.update_namespace(namespace, wanted, operation)
        except ChangedMeanwhile as conflict:
            notes().print(
                f"{conflict.now.namespace} was changed meanwhile, and is now at version "
                f"{conflict.now.resource_version}: changing that.",
                markup=False,
            )
            wanted = _changed(conflict.now, options, parts)
            _say(conflict.now, wanted)
            accepted = await opened.update_namespace(conflict.now, wanted, operation)
        ended = await conclude(opened, accepted, change)
    if output is OutputFormat.JSON:
        print_message(ended)


@app.command(epilog=example("controlplane namespace limit orders 200"))
@command
async def limit(
    name: NameArgument,
    requests_per_second: Annotated[
        int | None,
        typer.Argument(
            min=0, metavar="RPS", help="Requests a second; 0: no limit.", show_default=False
        ),
    ] = None,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Limit the requests that its ingress lets through, or show the limit when none is given."""
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        if requests_per_second is None:
            policy = (await opened.fleet.namespace(namespace)).policy
            if output is OutputFormat.JSON:
                print_value({"requests_per_second": policy.requests_per_second})
            else:
                results().print(_limit(policy.requests_per_second), markup=False)
            return
        begun = await opened.fleet.set_request_limit(
            namespace, requests_per_second, change.name_operation()
        )
        if change.no_wait:
            say_how_to_watch(begun.id)
        else:
            begun = await follow(opened, begun.id, change.within)
    if output is OutputFormat.JSON:
        print_value(begun)


@search_attributes.command(
    epilog=example("controlplane namespace search-attribute rename orders Customer Client")
)
@command
async def rename(
    name: NameArgument,
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="What it is called.", show_default=False)
    ],
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="What it is to be called.", show_default=False)
    ],
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Rename a search attribute; what is stored under it stays."""
    operation = change.name_operation()
    async with api.connect() as opened:
        namespace = await opened.namespace(name)
        request = RenameCustomSearchAttributeRequest(
            namespace=namespace.namespace,
            existing_custom_search_attribute_name=old,
            new_custom_search_attribute_name=new,
            resource_version=namespace.resource_version,
            async_operation_id=operation,
        )
        with repeatable(operation):
            answer = await opened.cloud.cloud_service.rename_custom_search_attribute(
                request, retry=True
            )
        ended = await conclude(opened, answer.async_operation, change)
    if output is OutputFormat.JSON:
        print_message(ended)


def _check(options: SpecOptions, parts: ChangedParts) -> None:
    if not options.said() and not parts.said():
        raise UsageError("what is to change? `controlplane namespace update --help` lists it")
    if parts.managed_ca and (options.ca_file or parts.add_ca or parts.remove_ca):
        raise UsageError("--managed-ca takes the place of every other CA: give it alone")
    if options.ca_file and (parts.add_ca or parts.remove_ca):
        raise UsageError("--ca-file replaces every CA: put what is to be added into its file")
    if options.mtls is False and (parts.add_ca or parts.remove_ca or parts.managed_ca):
        raise UsageError("--no-mtls lets nobody in by certificate: leave out the CAs")
    if options.certificate_filter and parts.no_certificate_filters:
        raise UsageError("--certificate-filter replaces the filters: leave out the other option")
    if parts.no_codec and (options.codec_endpoint or options.codec_error_message):
        raise UsageError("--no-codec forgets the codec server: leave out the other codec options")


def _changed(namespace: Namespace, options: SpecOptions, parts: ChangedParts) -> NamespaceSpec:
    spec = plain(namespace.spec)
    options.write_to(spec)
    parts.write_to(spec)
    return spec


def _say(namespace: Namespace, wanted: NamespaceSpec) -> None:
    """Say on stderr what changes; raise NothingToChange if nothing does."""
    changes = spec_changes(namespace.spec, wanted)
    if not changes:
        at_work = namespace.async_operation_id
        watch = f", once `controlplane operation watch {at_work}` ends" if at_work else ""
        raise NothingToChange(f"nothing to change: {namespace.namespace} is so already{watch}")
    for change in changes:
        notes().print(
            f"{change.what}: {change.now or 'nothing'} → {change.wanted or 'nothing'}",
            markup=False,
        )


def _limit(requests_per_second: int) -> str:
    return f"{requests_per_second} requests a second" if requests_per_second else "no limit"
