"""Spec files: the Cloud Ops API's NamespaceSpec in YAML or JSON, a document per namespace.

Fields go by their names in protobuf JSON, `retentionDays` or `retention_days`. Beside them there
are friendly forms: `region`, `retention: 30d`, `clientCaFile` (a path from the file's own folder),
`deleteProtection`, the PEM itself in `acceptedClientCa`, short names of search attribute types, and
`tags`, which the API keeps beside the spec.
"""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict, ParseError
from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from controlplane.cli.documents import STDIN, called, kind, nearest, read_documents
from controlplane.cli.failures import UsageError
from controlplane.cli.spec.ca_bundle import read_bundle
from controlplane.cli.spec.options import search_attribute_type

_FRIENDLY = {
    "region": "region",
    "retention": "retention",
    "clientCaFile": "client_ca_file",
    "deleteProtection": "delete_protection",
    "tags": "tags",
}
_DAYS = re.compile(r"(\d+) ?(?:d|days?)")

Document = dict[str, Any]


@dataclass(frozen=True)
class DeclaredNamespace:
    """One document of a spec file."""

    source: str
    """Where it is written, for messages."""
    spec: NamespaceSpec
    tags: dict[str, str] | None
    """None: nothing is said of them."""


def read_spec_file(file: Path) -> tuple[DeclaredNamespace, ...]:
    """Return what the file declares; raise UsageError that names what is wrong, and where."""
    documents = list(read_documents(file))
    if not documents:
        raise UsageError(f"{called(file)} declares no namespace: it is empty")
    folder = Path() if file == STDIN else file.parent
    declared = tuple(
        _declared(
            document,
            called(file) + (f", document {number}" if len(documents) > 1 else ""),
            folder,
        )
        for number, document in enumerate(documents, 1)
    )
    names = [each.spec.name for each in declared]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{called(file)} declares {name!r} {names.count(name)} times")
    return declared


def _declared(document: object, source: str, folder: Path) -> DeclaredNamespace:
    if not isinstance(document, dict):
        raise UsageError(f"{source} is {kind(document)}: write the fields of a namespace's spec")
    _check_keys(document, NamespaceSpec.DESCRIPTOR, source)
    fields = dict(document)
    tags = _tags(fields.pop("tags", None), source)
    client_ca = _ca_file(_take(fields, "clientCaFile"), source, folder)
    _translate(fields, source)
    spec = NamespaceSpec()
    try:
        ParseDict(fields, spec)
    except ParseError as error:
        raise UsageError(f"{source}: {error}") from error
    if client_ca is not None:
        if spec.mtls_auth.accepted_client_ca:
            raise UsageError(
                f"{source} has a clientCaFile and mtlsAuth.acceptedClientCa: give one of them"
            )
        spec.mtls_auth.enabled = True
        spec.mtls_auth.accepted_client_ca = client_ca
    if not spec.name:
        raise UsageError(f"{source} has no name: write `name: orders`, say")
    if b"PRIVATE KEY-----" in spec.mtls_auth.accepted_client_ca:
        raise UsageError(
            f"{source}: mtlsAuth.acceptedClientCa holds a private key, which must not leave this "
            "machine: leave the CA's certificate alone"
        )
    return DeclaredNamespace(source, spec, tags)


def _check_keys(document: Document, descriptor: Descriptor, source: str, path: str = "") -> None:
    """Refuse keys that mean nothing, wherever they are."""
    fields = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
    friendly = {*_FRIENDLY, *_FRIENDLY.values()} if not path else set()
    for key, value in document.items():
        field = fields.get(key)
        if field is None and key not in friendly:
            valid = [field.json_name for field in descriptor.fields] + sorted(
                set(_FRIENDLY) if friendly else ()
            )
            raise UsageError(f"{source}: {path}{key} means nothing. {nearest(str(key), valid)}")
        if field is None or field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            continue
        inner = value if field.is_repeated and isinstance(value, list) else [value]
        for part in inner:
            if isinstance(part, dict):
                _check_keys(part, field.message_type, source, f"{path}{key}.")


def _translate(fields: Document, source: str) -> None:
    """Put the fields of the API in place of friendly forms."""
    region = fields.pop("region", None)
    if region is not None:
        if fields.keys() & {"replicas", "regions"}:
            raise UsageError(f"{source} has a region and replicas: give one of them")
        fields["replicas"] = [{"region": region}]
    retention = fields.pop("retention", None)
    if retention is not None:
        if fields.keys() & {"retentionDays", "retention_days"}:
            raise UsageError(f"{source} has a retention and retentionDays: give one of them")
        fields["retentionDays"] = _days(retention, source)
    protection = _take(fields, "deleteProtection")
    if protection is not None:
        if "lifecycle" in fields:
            raise UsageError(f"{source} has deleteProtection and a lifecycle: give one of them")
        fields["lifecycle"] = {"enableDeleteProtection": protection}
    for key in ("searchAttributes", "search_attributes"):
        if isinstance(fields.get(key), dict):
            fields[key] = _search_attributes(fields[key], source)
    for key in ("mtlsAuth", "mtls_auth"):
        if isinstance(fields.get(key), dict):
            fields[key] = _pem_as_bytes(fields[key])


def _take(fields: Document, name: str) -> Any:
    """Take a friendly form out, by either of its names."""
    return fields.pop(name, fields.pop(_FRIENDLY[name], None))


def _days(retention: object, source: str) -> int:
    days = _DAYS.fullmatch(str(retention).strip())
    if days is None:
        raise UsageError(f"{source}: retention {retention!r} is no number of days, such as 30d")
    return int(days[1])


def _search_attributes(attributes: Document, source: str) -> Document:
    translated = {}
    for name, written in attributes.items():
        try:
            translated[str(name)] = search_attribute_type(str(written))
        except ValueError as error:
            raise UsageError(
                f"{source}: search attribute {name} is of no type {written!r}: choose of {error}"
            ) from error
    return translated


def _pem_as_bytes(mtls: Document) -> Document:
    """Allow the certificates themselves where protobuf JSON has their base64."""
    return {
        key: base64.b64encode(value.encode()).decode()
        if isinstance(value, str) and "-----BEGIN" in value
        else value
        for key, value in mtls.items()
    }


def _ca_file(named: object, source: str, folder: Path) -> bytes | None:
    if named is None:
        return None
    if not isinstance(named, str):
        raise UsageError(f"{source}: clientCaFile is {kind(named)}: write the path of a file")
    return read_bundle(folder / named)


def _tags(tags: object, source: str) -> dict[str, str] | None:
    if tags is None:
        return None
    if not isinstance(tags, dict):
        raise UsageError(f"{source}: tags is {kind(tags)}: write `key: value`, a line for each")
    for key, value in tags.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise UsageError(f"{source}: tag {key!r}: {value!r} is not text: put it in quotes")
    return dict(tags)
