"""What changes and examines the servers of a cell, whatever they run on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cells.release import Release, SchemaStep, Software
from cells.types import CellSpec


@dataclass(frozen=True)
class Deployed:
    """A cell that serves with new software."""

    server_version: str
    """What the server itself says."""
    gap: timedelta
    """How long the server did not answer, as seen from here."""


class CellRuntime(Protocol):
    """The Temporal services of a cell, their versions and configuration.

    Every method may be called again, by a retry or because its answer was lost. `generation`
    fences: a cell remembers the highest it was changed with, and refuses lower ones with
    `stale_generation` (see `controlplane.errors`), whatever came of the late call's first try.
    Under one generation a cell goes from software to software and never back, so that the late call
    of an earlier hop is refused, too; an undo needs a higher one.
    """

    async def running(self, cell: str, spec: CellSpec) -> Software:
        """Return what the cell is configured to run."""
        ...

    async def obstacles(self, cell: str, spec: CellSpec, release: Release) -> Sequence[str]:
        """Return what stands against bringing this release to the cell, each for people to read.

        Missing artifacts, a schema that cannot be reached, dynamic configuration that the server
        does not know, no room for the copy of the database. Empty when nothing does.
        """
        ...

    async def migrate_schema(
        self, cell: str, spec: CellSpec, steps: Sequence[SchemaStep], generation: int
    ) -> None:
        """Bring the cell's stores to a newer schema; what is there already is left alone."""
        ...

    async def deploy(
        self, cell: str, spec: CellSpec, software: Software, generation: int
    ) -> Deployed:
        """Make the cell run this, and return once its server answers in that version.

        Raise `rejected` when it does not come up: what ran before may not serve then, until it is
        deployed again.
        """
        ...


class CellExaminer(Protocol):
    """Says whether a cell works, from outside."""

    async def examine(self, cell: str, spec: CellSpec) -> Sequence[str]:
        """Return what is wrong: parts that do not answer, deep health, the canary. Empty if well.

        The canary is a workflow that completes through the real ingress with a real client
        certificate.
        """
        ...


class PartsExaminer(Protocol):
    """Says the same in its parts, for those who judge them apart."""

    async def health(self, cell: str, spec: CellSpec) -> Sequence[str]:
        """Return which parts do not answer, and what deep health says. Empty if well."""
        ...

    async def canaries(self, cell: str, spec: CellSpec) -> Sequence[str]:
        """Return why the canary did not come back. Empty if it did."""
        ...


class Canary(Protocol):
    """A workflow that goes all the way through a cell's ingress and back."""

    async def fly(self, cell: str, spec: CellSpec) -> None:
        """Complete a workflow as a client would; raise what says why it did not come back."""
        ...
