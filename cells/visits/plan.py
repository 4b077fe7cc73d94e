"""What a visit may do, what it does hop by hop, and when a cell counts as well. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from itertools import pairwise

from cells.release import Release, Software, Version
from cells.visits.types import VisitRequest, VisitRules

FIRST_PAUSE = timedelta(milliseconds=500)
LONGEST_PAUSE = timedelta(seconds=10)
"""Between two examinations of a cell, each of which flies a canary."""


@dataclass(frozen=True)
class Hop:
    """One deployment, and what ran before it: what its undo brings back."""

    before: Software
    after: Software


class Judgement(Enum):
    WELL = auto()
    SICK = auto()
    UNDECIDED = auto()


def refusal(
    request: VisitRequest, running: Software, obstacles: Sequence[str], problems: Sequence[str]
) -> str:
    """Say why the cell must not be touched; nothing when it may be."""
    reasons = []
    if problems and request.back_to is None:
        reasons.append(f"{request.cell} is sick already: {'; '.join(problems)}")
    if illegal := _illegal_hops(request, running):
        reasons.append(illegal)
    reasons += obstacles
    return "; ".join(reasons)


def hops(request: VisitRequest, running: Software) -> tuple[Hop, ...]:
    """Return the deployments that are left, the last one to what the release says.

    Configuration and ingress change with the last hop: those of a release are for its own server.
    """
    wanted = _wanted(request, running)
    stops = [replace(running, server_version=version) for version in _left(request, running)[:-1]]
    way = [running, *stops, wanted]
    return tuple(Hop(before, after) for before, after in pairwise(way))


def one_way_steps(release: Release) -> str:
    """Name the schema steps that nothing leads back from; nothing when there are none."""
    return ", ".join(
        f"{step.store} {step.version}" for step in release.schema_steps if step.one_way
    )


def judge(rules: VisitRules, elapsed: timedelta, well_for: timedelta | None) -> Judgement:
    """Decide whether a cell is well, `elapsed` after its change.

    `well_for` is how long it has been without a problem, None when the last look found one. A
    problem starts the count again, as long as the cell may still take its time.
    """
    if well_for is None:
        return Judgement.SICK if elapsed >= rules.healthy_within else Judgement.UNDECIDED
    return Judgement.WELL if well_for >= rules.verify_for else Judgement.UNDECIDED


def next_pause(rules: VisitRules, pause: timedelta, well_for: timedelta | None) -> timedelta:
    """Return how long to wait before the next look: ever longer while nothing new is seen."""
    if well_for is None:
        return min(pause * 2, LONGEST_PAUSE)
    left = max(rules.verify_for - well_for, timedelta(0))
    return min(pause * 2, LONGEST_PAUSE, left)


def _illegal_hops(request: VisitRequest, running: Software) -> str:
    release, at = request.release, Version.parse(running.server_version)
    left = _left(request, running)
    last = left[-1] if left else running.server_version
    if last != _wanted(request, running).server_version:
        return (
            f"{request.cell} runs {at} and was to come to {last}, but {release.name} has "
            f"{release.server_version or 'no server of its own'}"
        )
    for version in map(Version.parse, left):
        if version.major != at.major or abs(version.minor - at.minor) > 1:
            return (
                f"{request.cell} runs {running.server_version}, from where "
                f"{' and then '.join(left)} is no legal way: one minor version at a time"
            )
        at = version
    return ""


def _wanted(request: VisitRequest, running: Software) -> Software:
    if request.back_to is not None:
        return request.back_to.software
    return request.release.software(running)


def _left(request: VisitRequest, running: Software) -> tuple[str, ...]:
    """Return the hops after the version that the cell has: an earlier visit may have made some."""
    if running.server_version in request.hops:
        return request.hops[request.hops.index(running.server_version) + 1 :]
    return request.hops
