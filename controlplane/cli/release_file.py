"""Releases as people write them: options of a command, or a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError

from cells.release import ConfigValue, SchemaStep, check_release
from controlplane.api.rollout_types import NewRelease
from controlplane.cli.completion import complete_release
from controlplane.cli.documents import called, read_documents
from controlplane.cli.failures import UsageError
from controlplane.cli.shapes import read_as

ONE_WAY = "one-way"


@dataclass(frozen=True)
class ReleaseOptions:
    """What a release holds; options come before the file."""

    server_version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Of the Temporal server.", show_default=False),
    ] = None
    ingress_version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="Of gatekeeper and Envoy configuration.", show_default=False
        ),
    ] = None
    set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Dynamic configuration of the server.", show_default=False
        ),
    ] = None
    schema: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STORE=VERSION",
            help="The schema to bring a store to first, as in main=1.19; main=1.20,one-way when no "
            "server that needs the earlier one can run afterwards.",
            show_default=False,
        ),
    ] = None
    minimum_from: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="The oldest server a cell may come from; one minor version below, unless said.",
            show_default=False,
        ),
    ] = None
    patch_of: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE",
            help="The release that this one corrects.",
            show_default=False,
            autocompletion=complete_release,
        ),
    ] = None
    finalizes: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE",
            help="The release whose one-way steps this one takes, once every cell has that.",
            show_default=False,
            autocompletion=complete_release,
        ),
    ] = None
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="For people.", show_default=False)
    ] = None

    def over(self, declared: dict[str, object]) -> dict[str, object]:
        """Return the fields of a release with these in place of those that are declared."""
        said: dict[str, object] = {
            "server_version": self.server_version,
            "ingress_version": self.ingress_version,
            "minimum_from": self.minimum_from,
            "patch_of": self.patch_of,
            "finalizes": self.finalizes,
            "description": self.description,
        }
        if self.set:
            present = declared.get("configuration")
            kept = present if isinstance(present, dict) else {}
            said["configuration"] = {**kept, **dict(map(_setting, self.set))}
        if self.schema:
            said["schema_steps"] = [vars(_schema_step(text)) for text in self.schema]
        return {**declared, **{name: value for name, value in said.items() if value is not None}}


def read_release(name: str | None, file: Path | None, options: ReleaseOptions) -> NewRelease:
    """Return the release that file and options describe; raise UsageError for what cannot be."""
    source = "the release" if file is None else called(file)
    declared = {} if file is None else _declared(file)
    if name is not None and declared.setdefault("name", name) != name:
        raise UsageError(
            f"{source} describes release {declared['name']!r}, and the command says {name!r}: "
            "leave one of them out"
        )
    fields = options.over(declared)
    if "name" not in fields:
        raise UsageError("what is the release called? Say it: controlplane release create NAME")
    if "server_version" not in fields:
        raise UsageError(f"{source} has no server version: give --server-version, such as 1.31.2")
    release = read_as(NewRelease, fields, source)
    try:
        check_release(release.release())
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{source}: {error}") from error
    return release


def _declared(file: Path) -> dict[str, object]:
    documents = list(read_documents(file))
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise UsageError(
            f"{called(file)} is not one release: write its fields, `key: value`, a line for each"
        )
    return dict(documents[0])


def _setting(text: str) -> tuple[str, ConfigValue]:
    key, separator, written = text.partition("=")
    if not key or not separator:
        raise UsageError(f"--set {text!r} is not KEY=VALUE")
    try:
        value = yaml.safe_load(written)
    except yaml.YAMLError:
        value = written
    # What YAML would make a list, a date or nothing of is text.
    return key, value if isinstance(value, bool | int | float) else _unquoted(written, value)


def _unquoted(written: str, value: object) -> str:
    return value if isinstance(value, str) else written


def _schema_step(text: str) -> SchemaStep:
    store, separator, said = text.partition("=")
    version, *flags = said.split(",")
    if not store or not separator or not version or any(flag != ONE_WAY for flag in flags):
        raise UsageError(f"--schema {text!r} is not STORE=VERSION, or STORE=VERSION,{ONE_WAY}")
    return SchemaStep(store, version, bool(flags))
