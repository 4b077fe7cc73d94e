"""Gates: what has to be seen of a cell for its bake to count, and what was seen."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

HIGHEST_TOLERANCE = 10.0


class GateKind(StrEnum):
    HEALTH = "health"
    """Every part answers, deep health included."""
    CANARY = "canary"
    """A workflow completes through the real endpoint with a real client certificate."""
    PROMETHEUS = "prometheus"
    """A query over the servers' metrics stays within bounds."""
    COMPARISON = "comparison"
    """Upgraded cells against those of the ring that are not yet, each against its own past."""
    REPLICATION_LAG = "replication lag"
    """A query for how far a cell's replicas lag stays within bounds."""


QUERIED = frozenset({GateKind.PROMETHEUS, GateKind.COMPARISON, GateKind.REPLICATION_LAG})
"""Those that ask Prometheus."""


@dataclass(frozen=True)
class Gate:
    """One question about cells. Declared in a rollout's policy."""

    name: str
    kind: GateKind
    query: str = ""
    """PromQL for the kinds that are `QUERIED`: an instant query whose result is one number per
    cell; `$cell` stands for the cell's id, in quotes. For a comparison, of which more is worse."""
    below: float | None = None
    above: float | None = None
    minimum_samples: int = 10
    """Fewer are no data."""
    fresh_within: timedelta = timedelta(minutes=2)
    """A newest sample older than this is no data."""
    rings: tuple[int, ...] = ()
    """Where it applies; empty for everywhere."""
    tolerance: float = 0.05
    """How much worse, as a share, a comparison lets upgraded cells be."""
    floor: float = 0.0
    """For a comparison: smaller values are as good as this one. Ten errors in a million requests
    are not ten times as bad as one."""


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, not a password.
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    CONFOUNDED = "confounded"
    """Cells that were not changed are as bad: something else is going on."""
    NO_DATA = "no data"


@dataclass(frozen=True)
class Reading:
    """What one gate saw of one cell (or of all, where `cell` is empty) in a window."""

    gate: str
    cell: str
    verdict: Verdict
    covers: timedelta
    """How much of the window fresh, sufficient and green evidence stands for; if the gate is
    inconclusive, what will have been green if it passes in the end."""
    message: str = ""


@dataclass(frozen=True)
class Evidence:
    """What all gates saw in a window of time."""

    since: datetime
    until: datetime
    readings: tuple[Reading, ...]


class Answered(Protocol):
    """A gate that a person answers for."""

    @property
    def actor(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def until(self) -> datetime: ...


def overridden(evidence: Evidence, overrides: Mapping[str, Answered], now: datetime) -> Evidence:
    """Return the evidence in which the gates that somebody still answers for, by name, pass."""
    whole = evidence.until - evidence.since
    readings = []
    for reading in evidence.readings:
        answered = overrides.get(reading.gate)
        if answered is not None and now < answered.until:
            message = f"{answered.actor} answers for it: {answered.reason}"
            reading = replace(reading, verdict=Verdict.PASS, covers=whole, message=message)
        readings.append(reading)
    return replace(evidence, readings=tuple(readings))


def default_gates() -> tuple[Gate, ...]:
    """Return the gates of a rollout that names none: health and the canary, which need nothing."""
    return (Gate("health", GateKind.HEALTH), Gate("canary", GateKind.CANARY))


def check_gate(gate: Gate) -> None:
    """Raise ValueError, naming the value and the remedy, for a gate that cannot be asked."""
    if not gate.name:
        raise ValueError("a gate needs a name")
    what = f"gate {gate.name!r}"
    if gate.kind in QUERIED:
        if "$cell" not in gate.query:
            raise ValueError(f'{what} needs a query with "$cell" in it, as in {{cell="$cell"}}')
        _check_bounds(what, gate)
    elif gate.query or gate.below is not None or gate.above is not None:
        raise ValueError(
            f"{what} is of kind {gate.kind}, which takes neither query nor bounds: remove them, or "
            f"make it of kind {GateKind.PROMETHEUS}"
        )
    if gate.minimum_samples < 1:
        raise ValueError(f"{what}: minimum_samples is {gate.minimum_samples}: at least 1")
    if gate.fresh_within <= timedelta(0):
        raise ValueError(f"{what}: fresh_within is {gate.fresh_within}: write for example 2m")
    if any(ring < 0 for ring in gate.rings):
        raise ValueError(f"{what}: rings are {list(gate.rings)}: they are numbered from 0")


def _check_bounds(what: str, gate: Gate) -> None:
    bounds = {
        name: value for name in ("below", "above") if (value := getattr(gate, name)) is not None
    }
    for name, value in bounds.items():
        if not math.isfinite(value):
            raise ValueError(f"{what}: {name} is {value}: write a number")
    if gate.kind is GateKind.COMPARISON:
        if bounds:
            raise ValueError(
                f"{what} compares cells and has no bounds: set tolerance, and bounds in a second "
                f"gate of kind {GateKind.PROMETHEUS}"
            )
        if not 0 < gate.tolerance <= HIGHEST_TOLERANCE:
            raise ValueError(f"{what}: tolerance is {gate.tolerance}: write a share such as 0.05")
        if not (math.isfinite(gate.floor) and gate.floor >= 0):
            raise ValueError(f"{what}: floor is {gate.floor}: write a number from 0 on")
        return
    if not bounds:
        raise ValueError(f"{what} has no bound: set below, above, or both")
    if gate.below is not None and gate.above is not None and gate.above >= gate.below:
        raise ValueError(
            f"{what} wants values above {gate.above:g} and below {gate.below:g}: none is"
        )
