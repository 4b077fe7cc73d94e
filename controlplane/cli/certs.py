"""`controlplane certs`: authorities and client certificates, made and kept on this machine."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.command import group
from controlplane.cli.failures import UsageError, readable_failures
from controlplane.cli.key_files import KeyFiles
from controlplane.cli.output import OutputFormat, OutputOption, moment, print_json, results
from provisioning.certificates.x509 import CertificateAndKey, issue_client, new_ca, subject_of

app = group("Make an authority and client certificates. Keys never leave this machine.")

OutOption = Annotated[
    Path, typer.Option("--out", help="Folder to write to, made if missing.", file_okay=False)
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
OrganizationOption = Annotated[
    str | None, typer.Option(help="Organization (O) of the subject.", show_default=False)
]
UnitOption = Annotated[
    str | None, typer.Option(help="Organizational unit (OU) of the subject.", show_default=False)
]


@app.command("create-ca")
def create_ca(
    name: Annotated[str, typer.Option(help="Common name (CN), also the files' name.")],
    organization: OrganizationOption = None,
    days: Annotated[int, typer.Option(min=1, help="How long it is valid.")] = 365,
    out: OutOption = Path(),
    force: ForceOption = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make a certificate authority, whose clients a namespace can then accept."""
    with readable_failures():
        files = KeyFiles.called(name, out)
        authority = new_authority(name, timedelta(days=days), organization=organization)
        _save(authority, files, force=force)
    _show(authority, files, output)
    if output is OutputFormat.TABLE:
        _suggest(
            f"controlplane namespace create NAME --region REGION --ca-file {files.certificate}",
            f"controlplane certs issue --ca-cert {files.certificate} --ca-key {files.key} "
            "--name CLIENT",
        )


@app.command()
def issue(
    ca_cert: Annotated[Path, typer.Option(help="The authority's certificate, PEM.")],
    ca_key: Annotated[Path, typer.Option(help="The authority's private key, PEM.")],
    name: Annotated[str, typer.Option(help="Common name (CN), also the files' name.")],
    organization: OrganizationOption = None,
    organizational_unit: UnitOption = None,
    days: Annotated[int, typer.Option(min=1, help="How long it is valid.")] = 90,
    out: OutOption = Path(),
    force: ForceOption = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Issue a client certificate, for workers and clients to show at an endpoint."""
    with readable_failures():
        files = KeyFiles.called(name, out)
        client = new_client(
            KeyFiles(ca_cert, ca_key).read(),
            name,
            timedelta(days=days),
            organization=organization,
            organizational_unit=organizational_unit,
        )
        _save(client, files, force=force)
    _show(client, files, output)
    if output is OutputFormat.TABLE:
        _suggest(
            f"controlplane namespace connect NAMESPACE --client-cert {files.certificate} "
            f"--client-key {files.key}"
        )


def new_authority(
    name: str, validity: timedelta, *, organization: str | None = None
) -> CertificateAndKey:
    """Return a new authority; raise UsageError for a name that no certificate can have."""
    try:
        return new_ca(name, organization=organization, validity=validity)
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from error


def new_client(
    authority: CertificateAndKey,
    name: str,
    validity: timedelta,
    *,
    organization: str | None = None,
    organizational_unit: str | None = None,
) -> CertificateAndKey:
    """Return a new client certificate; raise UsageError for what no certificate can say."""
    try:
        return issue_client(
            authority,
            name,
            organization=organization,
            organizational_unit=organizational_unit,
            validity=validity,
        )
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from error


def _save(pair: CertificateAndKey, files: KeyFiles, *, force: bool) -> None:
    if force:
        files.replace(pair)
    else:
        files.write(pair)


def _show(pair: CertificateAndKey, files: KeyFiles, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(
            {
                "certificate_file": str(files.certificate),
                "key_file": str(files.key),
                "subject": subject_of(pair.certificate),
                "fingerprint": pair.fingerprint,
                "not_after": pair.certificate.not_valid_after_utc.isoformat(),
            }
        )
        return
    for what, value in (
        ("Certificate", f"{files.certificate}  ({subject_of(pair.certificate)})"),
        ("Private key", f"{files.key}  (keep it to yourself)"),
        ("Valid until", moment(pair.certificate.not_valid_after_utc)),
        ("SHA-256", pair.fingerprint),
    ):
        results().print(f"{what:<13}{value}", markup=False)


def _suggest(*commands: str) -> None:
    results().print("\nNext:", *(f"  {command}" for command in commands), sep="\n", markup=False)
