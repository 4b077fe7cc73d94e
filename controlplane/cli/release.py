"""`controlplane release`: bundles of versions and configuration, made once and never changed."""

from pathlib import Path
from typing import Annotated

import typer

from cells.release import Release
from controlplane.api.rollout_types import ReleaseDetails
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_release
from controlplane.cli.home_servers import fetch_server
from controlplane.cli.options import ApiOptions
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
from controlplane.cli.release_file import ReleaseOptions, read_release

app = group("Create and look at releases.")


@app.command(
    epilog=example(
        "controlplane release create 1.31.2 --server-version 1.31.2",
        "controlplane release create 1.31.2-rps --server-version 1.31.2 --set frontend.rps=2400",
        "controlplane release create -f release.yaml",
    )
)
@command
async def create(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="What it is called from now on; never another's name.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="Its fields, YAML or JSON; - is standard input.",
            show_default=False,
        ),
    ] = None,
    *,
    content: ReleaseOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create a release: what a rollout brings to cells.

    Nothing of it ever changes. Created again with the same content, it is there once. For an
    embedded fleet, the server's program is fetched into the home first, and its hash is part of the
    release.
    """
    release = read_release(name, file, content)
    async with api.rollouts() as opened:
        release = await fetch_server(release, opened.connection)
        created = await opened.create_release(release)
    _show(created, output)


@app.command("list")
@command
async def list_releases(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """List releases, newest first."""
    async with api.rollouts() as opened:
        releases = await opened.releases()
    if output is OutputFormat.JSON:
        print_value(releases)
        return
    if not releases:
        notes().print("There are no releases. Make one with: controlplane release create")
        return
    rows = table("RELEASE", "SERVER", "DIGEST", "CHANGES", "CREATED", "BY")
    for each in releases:
        rows.add_row(
            each.release.name,
            each.release.server_version,
            each.digest[:12],
            _beyond_the_server(each.release),
            moment(each.created_at),
            each.created_by,
        )
    results().print(rows)


@app.command()
@command
async def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The release.", show_default=False, autocompletion=complete_release
        ),
    ],
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show one release, with its digest: what it holds, name and description aside."""
    async with api.rollouts() as opened:
        found = await opened.release(name)
    _show(found, output)


def _show(found: ReleaseDetails, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_value(found)
        return
    release = found.release
    facts = [
        ("Release", release.name),
        ("Digest", found.digest),
        ("Server", release.server_version),
        ("Ingress", release.ingress_version or "as the control plane brings it"),
        ("Comes from", release.minimum_from or "one minor version below"),
    ]
    facts += [("Configuration", f"{k}={v}") for k, v in sorted(release.configuration.items())]
    facts += [
        ("Schema", f"{step.store} {step.version}{', one way' if step.one_way else ''}")
        for step in release.schema_steps
    ]
    facts += [
        (what, said)
        for what, said in (
            ("Patch of", release.patch_of),
            ("Finalizes", release.finalizes),
            ("Description", release.description),
        )
        if said
    ]
    facts += [("Artifact", f"{k} {v[:12]}…") for k, v in sorted(release.artifacts.items())]
    facts.append(("Created", f"{moment(found.created_at)} by {found.created_by}"))
    print_facts(facts)


def _beyond_the_server(release: Release) -> str:
    """Return what a release changes besides the server's version."""
    changes = [f"{key}={value}" for key, value in sorted(release.configuration.items())]
    if release.ingress_version:
        changes.append(f"ingress {release.ingress_version}")
    changes += [f"schema {step.store} {step.version}" for step in release.schema_steps]
    return ", ".join(changes) or "-"
