"""What a cell's namespace remembers of what was done to the cell: the fence of late writers.

It is an annotation of the namespace, changed only by whoever has read what it was before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from cells.release import Software
from cells.runtime.kubernetes.client import ClusterClient
from cells.runtime.kubernetes.documents import Json, text
from cells.runtime.kubernetes.errors import Changed, ClusterUnavailable
from cells.runtime.kubernetes.layout import Immutable
from cells.runtime.kubernetes.manifests.naming import RECORD_MANAGER
from controlplane.errors import not_found, stale_generation

GENERATION = "controlplane/generation"
"""The annotation that says who wrote a Deployment last."""
_RECORD = "controlplane/record"
_ATTEMPTS = 10


@dataclass(frozen=True)
class Refusal:
    """A software that the cell was to have and did not come up with."""

    software: Software
    why: str


@dataclass(frozen=True)
class Record:
    immutable: Immutable
    software: Software
    """What the cell is configured to run."""
    settled: bool = False
    """It has come up with it."""
    generation: int = 0
    """The highest that the cell was changed with."""
    passed: tuple[Software, ...] = ()
    """What it ran before, one after the other, under the same generation."""
    refusal: Refusal | None = None
    """What went wrong under the same generation."""
    gap_seconds: float = 0.0
    """How long the server did not answer when it was last changed."""
    schema: dict[str, str] = field(default_factory=dict)
    """By store, the version it was last asked to have."""
    schema_of: str = ""
    """The newest server version whose schema the stores have."""

    def under(self, generation: int) -> "Record":
        """Return the same under another generation, or the same one."""
        if generation == self.generation:
            return self
        return replace(self, generation=generation, passed=(), refusal=None, gap_seconds=0.0)

    def running(self, software: Software) -> "Record":
        """Return the same with this software, which it may not have come up with yet."""
        if software == self.software:
            return self
        passed = (*self.passed, self.software)
        return replace(self, software=software, settled=False, passed=passed)


_CODEC = TypeAdapter(Record)


async def read(client: ClusterClient, namespace: str) -> Record | None:
    """Return what is remembered, or None where no cell was ever installed."""
    found = await client.get("v1", "Namespace", namespace)
    return None if found is None else _decoded(found)


async def known(client: ClusterClient, namespace: str) -> Record:
    """Return what is remembered; raise `not_found` where no cell was ever installed."""
    found = await read(client, namespace)
    if found is None:
        raise not_found(f"cell {namespace} has no services in its cluster: they are not installed")
    return found


async def write(
    client: ClusterClient, namespace: str, change: Callable[[Record | None], Record]
) -> Record:
    """Change what is remembered, on the base of what is; `change` may refuse by raising."""
    for _ in range(_ATTEMPTS):
        found = await client.get("v1", "Namespace", namespace)
        if found is None:
            raise not_found(f"cell {namespace} has no namespace in its cluster")
        before = _decoded(found)
        after = change(before)
        if after == before:
            return after
        try:
            await client.merge(_change(namespace, found, after), RECORD_MANAGER)
        except Changed:
            continue
        return after
    raise ClusterUnavailable(f"others keep changing the namespace {namespace}: try again")


def fence(cell: str, record: Record, generation: int, software: Software | None = None) -> None:
    """Refuse what comes too late."""
    if generation < record.generation:
        raise stale_generation(
            f"{cell} was changed with generation {record.generation} already; this call comes too "
            f"late with {generation}"
        )
    if generation == record.generation and software in record.passed:
        assert software is not None
        raise stale_generation(
            f"{cell} has left {software.server_version} behind under generation {generation}: this "
            f"call comes too late, or a higher generation is needed to go back"
        )


def generation_of(document: Json) -> int:
    """Return the generation that an object was last written with."""
    written = text(document, "metadata", "annotations", GENERATION)
    return int(written) if written.isdecimal() else 0


def _decoded(namespace: Json) -> Record | None:
    written = text(namespace, "metadata", "annotations", _RECORD)
    return _CODEC.validate_json(written) if written else None


def _change(name: str, found: Json, record: Record) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            # Refused when the namespace is not any more what was read.
            "resourceVersion": text(found, "metadata", "resourceVersion"),
            "annotations": {_RECORD: _CODEC.dump_json(record).decode()},
        },
    }
