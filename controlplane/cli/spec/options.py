"""The options that say what a namespace is to be, as changes to a spec of the Cloud Ops API."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from temporalio.api.cloud.namespace.v1 import (
    CertificateFilterSpec,
    MtlsAuthSpec,
    NamespaceSpec,
    ReplicaSpec,
)

from controlplane.cli.failures import UsageError
from controlplane.cli.spec.ca_bundle import read_bundle
from provisioning.types import SearchAttributeType

DEFAULT_RETENTION_DAYS = 30
_FILTER_FIELDS = {
    "cn": "common_name",
    "o": "organization",
    "ou": "organizational_unit",
    "san": "subject_alternative_name",
}


@dataclass(frozen=True)
class SpecOptions:
    """What the caller asked for, word by word. None: nothing was said of it."""

    retention_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="DAYS",
            help="How long closed workflows are kept; 30 unless said.",
            show_default=False,
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        typer.Option(
            help="CA bundle (PEM) that signs its clients. Without one, the control plane keeps a "
            "CA for the namespace: see `controlplane namespace cert issue`.",
            show_default=False,
        ),
    ] = None
    mtls: Annotated[
        bool | None,
        typer.Option(
            "--mtls/--no-mtls",
            help="Let in clients by certificate; on unless said.",
            show_default=False,
        ),
    ] = None
    api_keys: Annotated[
        bool | None,
        typer.Option(
            "--api-keys/--no-api-keys",
            help="Let in clients by API key; off unless said.",
            show_default=False,
        ),
    ] = None
    certificate_filter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="cn=…,o=…,ou=…,san=…",
            help="Let in only certificates that match; repeatable, any does.",
            show_default=False,
        ),
    ] = None
    search_attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TYPE", help="Such as Customer=KEYWORD; repeatable.", show_default=False
        ),
    ] = None
    delete_protection: Annotated[
        bool | None,
        typer.Option(
            "--delete-protection/--no-delete-protection",
            help="Refuse to delete it; off unless said.",
            show_default=False,
        ),
    ] = None
    managed_failover: Annotated[
        bool | None,
        typer.Option(
            "--managed-failover/--no-managed-failover",
            help="Fail it over without being asked when its cell is lost; on unless said.",
            show_default=False,
        ),
    ] = None
    forward_polls: Annotated[
        bool | None,
        typer.Option(
            "--forward-polls/--no-forward-polls",
            help="Give workers that poll where it is passive tasks from where it is active; on "
            "unless said.",
            show_default=False,
        ),
    ] = None
    codec_endpoint: Annotated[
        str | None,
        typer.Option(
            help="URL of the codec server that browsers decode payloads with.",
            show_default=False,
        ),
    ] = None
    codec_pass_access_token: Annotated[
        bool | None,
        typer.Option(
            "--codec-pass-access-token/--no-codec-pass-access-token",
            help="Send it the user's access token.",
            show_default=False,
        ),
    ] = None
    codec_include_credentials: Annotated[
        bool | None,
        typer.Option(
            "--codec-include-credentials/--no-codec-include-credentials",
            help="Send it the browser's cookies for its origin.",
            show_default=False,
        ),
    ] = None
    codec_error_message: Annotated[
        str | None,
        typer.Option(help="What is shown when it fails.", show_default=False),
    ] = None
    codec_error_link: Annotated[
        str | None,
        typer.Option(help="Where that points for help.", show_default=False),
    ] = None

    def said(self) -> bool:
        """Return whether anything was asked for at all."""
        return any(value is not None for value in vars(self).values())

    def write_to(self, spec: NamespaceSpec) -> None:
        """Make the spec what was asked for, where something was; raise UsageError if it cannot."""
        if self.retention_days is not None:
            spec.retention_days = self.retention_days
        if self.delete_protection is not None:
            spec.lifecycle.enable_delete_protection = self.delete_protection
        if self.api_keys is not None:
            spec.api_key_auth.enabled = self.api_keys
        if self.managed_failover is not None:
            spec.high_availability.disable_managed_failover = not self.managed_failover
        if self.forward_polls is not None:
            wanted = spec.high_availability
            wanted.disable_passive_poller_forwarding = not self.forward_polls
        for text in self.search_attribute or ():
            name, kind = _search_attribute(text)
            spec.search_attributes[name] = kind
        self._write_mtls(spec)
        self._write_codec(spec)

    def _write_mtls(self, spec: NamespaceSpec) -> None:
        if self.mtls is False:
            if self.ca_file is not None or self.certificate_filter:
                raise UsageError(
                    "--no-mtls lets nobody in by certificate: leave out --ca-file and "
                    "--certificate-filter, or give --mtls"
                )
            spec.ClearField("mtls_auth")
            return
        if self.mtls or self.ca_file is not None:
            spec.mtls_auth.enabled = True
        if self.ca_file is not None:
            spec.mtls_auth.accepted_client_ca = read_bundle(self.ca_file)
        if self.certificate_filter:
            if not spec.mtls_auth.enabled:
                raise UsageError(
                    "--certificate-filter chooses among client certificates, and none gets in: "
                    "give --mtls too"
                )
            del spec.mtls_auth.certificate_filters[:]
            spec.mtls_auth.certificate_filters.extend(
                _certificate_filter(text) for text in self.certificate_filter
            )

    def _write_codec(self, spec: NamespaceSpec) -> None:
        codec = spec.codec_server if spec.HasField("codec_server") else type(spec.codec_server)()
        if self.codec_endpoint is not None:
            codec.endpoint = self.codec_endpoint
        if self.codec_pass_access_token is not None:
            codec.pass_access_token = self.codec_pass_access_token
        if self.codec_include_credentials is not None:
            codec.include_cross_origin_credentials = self.codec_include_credentials
        if self.codec_error_message is not None:
            codec.custom_error_message.default.message = self.codec_error_message
        if self.codec_error_link is not None:
            codec.custom_error_message.default.link = self.codec_error_link
        if codec.ByteSize() and not codec.endpoint:
            raise UsageError("which codec server is meant? Give its URL with --codec-endpoint")
        if codec.ByteSize():
            spec.codec_server.CopyFrom(codec)


def new_spec(name: str, region: str, options: SpecOptions, replica: str = "") -> NamespaceSpec:
    """Return the spec of a namespace that is to be; raise UsageError for what cannot be sent.

    With `replica`, it has one in that region, too.
    """
    spec = NamespaceSpec(
        name=name,
        replicas=[ReplicaSpec(region=each) for each in (region, replica) if each],
        retention_days=DEFAULT_RETENTION_DAYS,
        mtls_auth=MtlsAuthSpec(enabled=True),
    )
    options.write_to(spec)
    return spec


def search_attribute_type(text: str) -> NamespaceSpec.SearchAttributeType.ValueType:
    """Return the type of this name; raise ValueError, whose message lists them, for another."""
    short = text.upper().removeprefix("SEARCH_ATTRIBUTE_TYPE_")
    if short not in set(SearchAttributeType):
        raise ValueError(", ".join(SearchAttributeType))
    return NamespaceSpec.SearchAttributeType.Value(f"SEARCH_ATTRIBUTE_TYPE_{short}")


def _search_attribute(text: str) -> tuple[str, NamespaceSpec.SearchAttributeType.ValueType]:
    name, _, type_name = text.partition("=")
    try:
        kind = search_attribute_type(type_name)
    except ValueError as error:
        raise UsageError(
            f"search attribute {text!r} is not Name=TYPE with a TYPE of {error}"
        ) from error
    if not name:
        raise UsageError(f"search attribute {text!r} has no name: write Name={type_name}")
    return name, kind


def _certificate_filter(text: str) -> CertificateFilterSpec:
    fields = {}
    for part in text.split(","):
        key, separator, value = part.strip().partition("=")
        if key.lower() not in _FILTER_FIELDS or not separator or not value:
            raise UsageError(
                f"certificate filter {text!r}: {part.strip()!r} is not one of "
                "cn=…, o=…, ou=…, san=…"
            )
        fields[_FILTER_FIELDS[key.lower()]] = value
    return CertificateFilterSpec(**fields)
