"""How far a change of a namespace's replicas is, phase by phase, for people."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controlplane.api.replica_types import NamespaceReplicas
from controlplane.cli.durations import rough
from controlplane.cli.output import seconds
from provisioning.types import ReplicaChange, ReplicaChangeKind

_TITLES = {
    "pending": "Wait for its turn",
    "place": "Select a cell",
    "prepare": "Write record, role and credential",
    "join": "Join the cells",
    "extend": "Tell the namespace of the cell",
    "copy": "Copy workflow executions",
    "compare": "Compare both sides",
    "open": "Open the cell's ingress",
    "hand over": "Hand over",
    "force": "Fail over by force",
    "switch": "Let ingress and DNS follow",
    "soak": "Keep the former cell as a replica",
    "close": "Close the former cell's ingress",
    "withdraw": "Withdraw the replica",
    "clean": "Give back what it had",
    "undo": "Undo everything",
}


@dataclass
class PhaseSeen:
    """A phase of which a look was had: shorter ones may not be among these."""

    name: str
    began_at: datetime
    ended_at: datetime | None = None
    said: str = ""

    @property
    def title(self) -> str:
        return _TITLES.get(self.name, self.name.capitalize())

    def lasted(self, now: datetime) -> timedelta:
        return (self.ended_at or now) - self.began_at


@dataclass
class Phases:
    """The phases of one change, as they are seen."""

    seen: list[PhaseSeen] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def take(
        self, replicas: NamespaceReplicas | None, now: datetime, ended_at: datetime | None = None
    ) -> None:
        """Take in how far the change is; without one, the last phase has ended."""
        change = None if replicas is None else replicas.change
        last = self.seen[-1] if self.seen else None
        if replicas is None or change is None:
            if last is not None and last.ended_at is None:
                last.ended_at = max(ended_at or now, last.began_at)
            return
        if last is None or last.name != change.progress.phase:
            began_at = change.moved_at or change.started_at
            if last is not None and last.ended_at is None:
                last.ended_at = max(began_at, last.began_at)
            last = PhaseSeen(change.progress.phase, began_at)
            self.seen.append(last)
        last.said = how_far(change, replicas.change_eta, now)

    def news(
        self, replicas: NamespaceReplicas | None, now: datetime, ended_at: datetime | None = None
    ) -> Iterator[str]:
        """Take in how far the change is, and yield a line for what was not told before."""
        self.take(replicas, now, ended_at)
        for number, phase in enumerate(self.seen):
            if phase.ended_at is not None:
                yield from self._once(
                    f"{number} ended", f"  ✓ {phase.title:<36}{seconds(phase.lasted(now)):>9}"
                )
            else:
                said = f": {phase.said}" if phase.said else ""
                yield from self._once(
                    f"{number} {_without_numbers(phase.said)}", f"  … {phase.title}{said}"
                )

    def _once(self, what: str, line: str) -> Iterator[str]:
        if what not in self._told:
            self._told.add(what)
            yield line


def how_far(change: ReplicaChange, eta: datetime | None, now: datetime) -> str:
    """Return what the change says of itself, with counts and the time that is left."""
    progress = change.progress
    counted = f"{progress.done} of {progress.of}" if progress.of else ""
    left = f"about {rough(max(eta - now, timedelta(0)))} left" if eta is not None else ""
    asked = f"waits for a person: {progress.waits_for}" if progress.waits_for else ""
    return ", ".join(part for part in (progress.message, counted, left, asked) if part)


def waits_for(replicas: NamespaceReplicas | None) -> str:
    """Return what a person has to do for the change to go on; empty for nothing."""
    if replicas is None or replicas.change is None:
        return ""
    return replicas.change.progress.waits_for


def what_to_do(replicas: NamespaceReplicas) -> str:
    """Return how a person lets a change that waits go on, or undoes it."""
    namespace, change = replicas.namespace, replicas.change
    if change is not None and change.kind is ReplicaChangeKind.MIGRATE:
        return (
            f"It waits for you: {waits_for(replicas)}. Go on with: controlplane namespace migrate "
            f"confirm {namespace}, or back with: controlplane namespace migrate abort {namespace}"
        )
    return f"It waits for you: {waits_for(replicas)}"


def _without_numbers(text: str) -> str:
    """Return what of a text makes it news: counts alone do not."""
    return "".join(letter for letter in text if not letter.isdigit())
