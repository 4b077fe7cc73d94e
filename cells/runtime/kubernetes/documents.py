"""Kubernetes objects as they are on the wire, and how to read in them.

Whatever is missing on the way reads as nothing: what is absent from an object has its default.
"""

from collections.abc import Iterator

Json = dict[str, object]
"""An object, or a part of one."""


def at(document: object, *path: str) -> object:
    """Return what lies at the path, or None."""
    for name in path:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def text(document: object, *path: str) -> str:
    """Return the text at the path, or an empty one."""
    found = at(document, *path)
    return found if isinstance(found, str) else ""


def number(document: object, *path: str) -> int:
    """Return the number at the path, or 0."""
    found = at(document, *path)
    return found if isinstance(found, int) else 0


def mapping(document: object, *path: str) -> Json:
    """Return the object at the path, or an empty one."""
    found = at(document, *path)
    return found if isinstance(found, dict) else {}


def elements(document: object, *path: str) -> Iterator[Json]:
    """Go through the objects of the list at the path."""
    found = at(document, *path)
    yield from (part for part in found if isinstance(part, dict)) if isinstance(found, list) else ()


def name_of(document: Json) -> str:
    """Name an object as people do: `Deployment/history`."""
    return f"{text(document, 'kind')}/{text(document, 'metadata', 'name')}"
