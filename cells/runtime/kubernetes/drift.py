"""What in a cluster is not as it should be, field by field.

The cluster itself is asked what an apply would change, so that defaults and rewritten values are no
drift, and neither is what others add beside ours.
"""

from collections.abc import Iterator, Sequence

from cells.runtime.kubernetes.client import ClusterClient
from cells.runtime.kubernetes.documents import Json, mapping, name_of, text
from cells.runtime.kubernetes.manifests.plan import Manifests
from cells.runtime.kubernetes.record import GENERATION

_NOT_OURS = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"}
)
_MOST = 50
_LONGEST = 80


async def differences(client: ClusterClient, wanted: Manifests) -> Sequence[str]:
    """Name each field that differs: what it is, and what it should be. Changes nothing."""
    found: list[str] = []
    for document in wanted.everything:
        metadata = mapping(document, "metadata")
        present = await client.get(
            text(document, "apiVersion"),
            text(document, "kind"),
            text(metadata, "name"),
            text(metadata, "namespace"),
        )
        if present is None:
            found.append(f"{name_of(document)} is missing")
            continue
        applied = await client.apply(_kept(document, present), force=True, dry_run=True)
        hidden = text(document, "kind") == "Secret"
        found += [
            f"{name_of(document)}: {difference}"
            for difference in compare(_comparable(present), _comparable(applied), hidden=hidden)
        ]
    return found[:_MOST]


def compare(present: object, wanted: object, path: str = "", *, hidden: bool = False) -> list[str]:
    """Return what differs between two objects, path by path; without values where they are hidden.
    Pure."""
    return [
        f"{where} is {is_now}, not {should_be}" if not hidden else f"{where} has another value"
        for where, is_now, should_be in _compare(present, wanted, path)
    ]


def _compare(present: object, wanted: object, path: str) -> Iterator[tuple[str, str, str]]:
    if present == wanted:
        return
    if isinstance(present, dict) and isinstance(wanted, dict):
        for key in sorted({*present, *wanted}):
            yield from _compare(present.get(key), wanted.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(present, list) and isinstance(wanted, list) and len(present) == len(wanted):
        for index, (one, other) in enumerate(zip(present, wanted, strict=True)):
            yield from _compare(one, other, f"{path}[{_label(other, index)}]")
    else:
        yield path, _shown(present), _shown(wanted)


def _label(element: object, index: int) -> str:
    return text(element, "name") or str(index)


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    shown = value if isinstance(value, str) else str(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def _kept(document: Json, present: Json) -> Json:
    """Return the object with the generation that wrote it: that one is no drift."""
    written = text(present, "metadata", "annotations", GENERATION)
    if not written:
        return document
    metadata = mapping(document, "metadata")
    annotations = {**mapping(metadata, "annotations"), GENERATION: written}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def _comparable(document: Json) -> Json:
    metadata = {
        key: value for key, value in mapping(document, "metadata").items() if key not in _NOT_OURS
    }
    rest = {
        key: value
        for key, value in document.items()
        if key not in ("status", "metadata", "apiVersion", "kind")
    }
    return {**rest, "metadata": metadata}
