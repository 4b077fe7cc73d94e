"""`controlplane namespace ca` and `cert`: the CA kept for a namespace, and client certificates."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from controlplane.api.fleet_types import IssuedCertificate, OperationDetails
from controlplane.cli.command import command, example, group
from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.cli.following import follow, say_how_to_watch
from controlplane.cli.namespace.signing import (
    read_request,
    read_serial,
    request_for,
    serial_of,
)
from controlplane.cli.options import ApiOptions, ChangeOptions, NameArgument
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_facts,
    print_value,
    results,
    table,
)
from controlplane.secrets import private_file

ca = group("Show the CA whose clients a namespace admits.")
app = group("Issue client certificates, list and revoke them.")

SerialArgument = Annotated[
    str | None,
    typer.Argument(metavar="SERIAL", help="Serial number, hexadecimal.", show_default=False),
]
CertOption = Annotated[
    Path | None,
    typer.Option("--cert", help="The certificate's file (PEM), instead.", show_default=False),
]


@ca.callback()
def authority() -> None:
    """Show the CA whose clients a namespace admits."""  # Without it, one command is no group.


@ca.command("show", epilog=example("controlplane namespace ca show orders > orders-ca.pem"))
@command
async def show_ca(
    name: NameArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Print the CA whose clients a namespace admits: its own, or the one kept for it."""
    async with api.connect() as opened:
        found = await opened.fleet.client_ca(await opened.namespace_id(name))
    if output is OutputFormat.JSON:
        print_value(found)
    else:
        typer.echo(found.pem, nl=False)


@app.command(
    epilog=example(
        "controlplane namespace cert issue orders --name worker --key-out worker.key "
        "--cert-out worker.pem",
        "controlplane namespace cert issue orders --csr worker.csr --days 30 > worker.pem",
    )
)
@command
async def issue(
    name: NameArgument,
    csr: Annotated[
        Path | None,
        typer.Option(help="Signing request (PEM) for a key that you have.", show_default=False),
    ] = None,
    key_out: Annotated[
        Path | None,
        typer.Option(
            help="File of the key that it is for; made, for its owner's eyes, if there is none.",
            show_default=False,
        ),
    ] = None,
    cert_out: Annotated[
        Path | None,
        typer.Option(help="Write the certificate here, not to stdout.", show_default=False),
    ] = None,
    common_name: Annotated[
        str, typer.Option("--name", help="Common name (CN), with --key-out.")
    ] = "worker",
    organization: Annotated[
        str | None, typer.Option(help="Organization (O), with --key-out.", show_default=False)
    ] = None,
    organizational_unit: Annotated[
        str | None,
        typer.Option(help="Organizational unit (OU), with --key-out.", show_default=False),
    ] = None,
    days: Annotated[int, typer.Option(min=1, metavar="DAYS", help="How long it is valid.")] = 90,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Issue a client certificate from the CA kept for a namespace.

    The key is made on this machine, by you (--csr) or here (--key-out), and never leaves it.
    """
    if (csr is None) == (key_out is None):
        raise UsageError("give a signing request with --csr, or a file for a key with --key-out")
    if cert_out is not None and cert_out.exists():
        raise UsageError(f"{cert_out} exists: name another file, or move that one away")
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        if csr is not None:
            request = read_request(csr)
        else:
            assert key_out is not None
            request = request_for(key_out, common_name, organization, organizational_unit)
        begun = await opened.fleet.issue_certificate(
            namespace, request, days, change.name_operation()
        )
        if change.no_wait:
            say_how_to_watch(begun.id)
            notes().print(
                f"Then fetch it: controlplane namespace cert list {namespace}", markup=False
            )
            return
        await follow(opened, begun.id, change.within)
        issued = await opened.fleet.certificates(namespace, begun.id)
    if not issued:
        raise CommandFailed(f"operation {begun.id} has issued no certificate")
    certificate = issued[0]
    if cert_out is not None:
        _write(cert_out, certificate.pem.encode())
    if output is OutputFormat.JSON:
        print_value(certificate)
    elif cert_out is None:
        typer.echo(certificate.pem, nl=False)
    else:
        _show(certificate)
        if key_out is not None:
            notes().print(
                f"\nNext: controlplane namespace connect {namespace} --client-cert {cert_out} "
                f"--client-key {key_out}",
                markup=False,
            )


@app.command("list")
@command
async def list_certificates(
    name: NameArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """List the certificates that the CA kept for a namespace has issued, and all revocations."""
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        issued = await opened.fleet.certificates(namespace)
        revoked = (await opened.fleet.namespace(namespace)).policy.revoked_serials
    if output is OutputFormat.JSON:
        print_value({"certificates": issued, "revoked_serials": revoked})
        return
    if not issued and not revoked:
        notes().print(f"No client certificate of {namespace} was issued or revoked.", markup=False)
        return
    rows = table("SERIAL", "SUBJECT", "STATE", "VALID UNTIL")
    for certificate in issued:
        rows.add_row(
            certificate.serial,
            certificate.subject,
            _state(certificate),
            moment(certificate.not_after),
        )
    for serial in sorted(set(revoked) - {certificate.serial for certificate in issued}):
        rows.add_row(serial, "of another CA", "revoked", "")
    results().print(rows)


@app.command("get")
@command
async def get(
    name: NameArgument,
    serial: Annotated[
        str,
        typer.Argument(metavar="SERIAL", help="Serial number, hexadecimal.", show_default=False),
    ],
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Print a certificate that was issued (PEM)."""
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        certificate = await opened.fleet.certificate(namespace, read_serial(serial))
    if output is OutputFormat.JSON:
        print_value(certificate)
    else:
        typer.echo(certificate.pem, nl=False)


@app.command(epilog=example("controlplane namespace cert revoke orders --cert lost-worker.pem"))
@command
async def revoke(
    name: NameArgument,
    serial: SerialArgument = None,
    cert: CertOption = None,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Refuse a client certificate, whoever issued it, until it is restored.

    It is refused at once, on open connections too.
    """
    begun = await _set_revoked(name, _one_serial(serial, cert), change, api, revoked=True)
    if output is OutputFormat.JSON:
        print_value(begun)


@app.command(epilog=example("controlplane namespace cert restore orders 3f9a1c"))
@command
async def restore(
    name: NameArgument,
    serial: SerialArgument = None,
    cert: CertOption = None,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Take back a revocation: the certificate gets in again, if its CA is trusted."""
    begun = await _set_revoked(name, _one_serial(serial, cert), change, api, revoked=False)
    if output is OutputFormat.JSON:
        print_value(begun)


async def _set_revoked(
    name: str, serial: str, change: ChangeOptions, api: ApiOptions, *, revoked: bool
) -> OperationDetails:
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        begun = await opened.fleet.set_revoked(
            namespace, serial, change.name_operation(), revoked=revoked
        )
        if change.no_wait:
            say_how_to_watch(begun.id)
            return begun
        return await follow(opened, begun.id, change.within)


def _one_serial(serial: str | None, cert: Path | None) -> str:
    if serial is not None and cert is None:
        return read_serial(serial)
    if cert is not None and serial is None:
        return serial_of(cert)
    raise UsageError("which certificate? Give its serial number, or its file with --cert")


def _write(file: Path, content: bytes) -> None:
    try:
        if not private_file.create(file, content):
            raise CommandFailed(f"{file} exists: name another file, or move that one away")
    except OSError as error:
        raise CommandFailed(f"cannot write {file}: {error.strerror}") from error


def _show(certificate: IssuedCertificate) -> None:
    print_facts(
        [
            ("Serial", certificate.serial),
            ("Subject", certificate.subject),
            ("Valid until", moment(certificate.not_after)),
            ("SHA-256", certificate.fingerprint),
        ]
    )


def _state(certificate: IssuedCertificate) -> str:
    if certificate.revoked:
        return "revoked"
    return "expired" if certificate.not_after <= datetime.now(UTC) else "valid"
