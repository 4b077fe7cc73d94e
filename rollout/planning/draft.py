"""A plan for the way forward while it is being made."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from rollout.bake import Bake
from rollout.gates import Verdict
from rollout.planning.admission import Admission
from rollout.planning.budget import LOST
from rollout.planning.survey import AT_THEIR_TURN, Survey
from rollout.types import CellFacts, CellProgress, CellStatus, RolloutState, Start, Wait, WaitCode


@dataclass
class Draft:
    seen: Survey
    admission: Admission
    stop: tuple[WaitCode, str] | None
    """Why nothing starts at all; None when cells may."""
    confounded: str
    """Why the evidence says nothing about the release; empty when it does."""
    starts: list[Start] = field(default_factory=list)
    waits: dict[str, Wait] = field(default_factory=dict)
    """By cell."""
    begin_batch: tuple[str, ...] = ()
    begin_bake: timedelta | None = None
    bakes_ring: bool = False
    complete_ring: bool = False
    blocked: str = ""

    @property
    def state(self) -> RolloutState:
        return self.seen.state

    def start(self, cell: str) -> bool:
        """Let a cell start if it may, else say why not; tell which."""
        if self.stop is not None:
            self.wait([cell], *self.stop)
            return False
        answer = self.admission.forward(self.seen.facts[cell])
        if isinstance(answer, Start):
            self.starts.append(answer)
            return True
        self.waits[cell] = answer
        return False

    def unhindered(self, cells: Iterable[str]) -> list[CellFacts]:
        """Return those that could start if it were only for them; the others wait."""
        free = []
        for cell in cells:
            facts = self.seen.facts[cell]
            hindrance = self.admission.hindrance(facts)
            if self.stop is not None:
                self.wait([cell], *self.stop)
            elif hindrance is not None:
                self.waits[cell] = hindrance
            else:
                free.append(facts)
        return free

    def wait(self, cells: Iterable[str], code: WaitCode, message: str) -> None:
        """Let cells wait that have no other reason already."""
        for cell in cells:
            if cell not in self.waits:
                self.waits[cell] = Wait(cell, code, message)

    def wait_for_persons(self) -> None:
        """Let those wait that a visit did not bring about: somebody has to say how to go on."""
        for cell, progress in self.seen.cells.items():
            if progress.status in LOST:
                self.waits[cell] = _lost(cell, progress)

    def wait_for_bake(self, cells: Iterable[str], bake: Bake, what: str) -> None:
        """Let cells wait for evidence: until then at the earliest, if all of it is green."""
        earliest = bake.counted_until + bake.needed - bake.credit
        until = earliest if earliest > self.seen.now else None
        message = f"{what}: {_length(bake.credit)} of {_length(bake.needed)} are credited"
        if bake.verdict not in (None, Verdict.PASS):
            message += f"; {bake.verdict}: {bake.message}"
        for cell in cells:
            if cell not in self.waits:
                self.waits[cell] = Wait(cell, WaitCode.BAKE, message, until)
        overdue = self.seen.now - bake.began_at > self.state.policy.bake_at_most
        if overdue and not bake.is_complete:
            self.blocked = self.blocked or (
                f"{what} since {bake.began_at:%Y-%m-%d %H:%M UTC}, longer than "
                f"{self.state.policy.bake_at_most.days} days, and has {_length(bake.credit)} of "
                f"{_length(bake.needed)}: find out why evidence is missing, complete the gate, or "
                "abort"
            )


def draft(seen: Survey) -> Draft:
    """Return a plan in which nothing is decided yet."""
    confounded = _confounded(seen)
    stop = (WaitCode.CONFOUNDED, confounded) if confounded else None
    if paused := seen.state.paused_by:
        stop = (WaitCode.PAUSED, f"paused by {paused}: resume it")
    return Draft(seen, Admission(seen), stop, confounded)


def standing_waits(seen: Survey, code: WaitCode, message: str) -> tuple[Wait, ...]:
    """Return the waits of all cells when none starts, for a reason that they share."""
    return tuple(
        _lost(cell, progress) if progress.status in LOST else Wait(cell, code, message)
        for cell, progress in seen.cells.items()
        if progress.status in AT_THEIR_TURN or progress.status in LOST
    )


def watched(seen: Survey) -> tuple[str, ...]:
    """Return the cells of which evidence is needed for the bake of the ring at work."""
    progress = None if seen.ring is None else seen.state.rings.get(seen.ring)
    if seen.ring is None or progress is None or progress.bake is None:
        return ()
    # One that was changed by hand says nothing of the release.
    return tuple(
        cell
        for cell in seen.rings[seen.ring]
        if seen.status(cell) is CellStatus.DONE and not seen.facts[cell].drift
    )


def watched_late(seen: Survey) -> dict[int, tuple[str, ...]]:
    """Return the cells of which evidence is needed for late bakes, by ring."""
    return {
        number: (ring.late,)
        for number, ring in seen.state.rings.items()
        if ring.late in seen.facts and ring.late_bake and not ring.late_bake.is_complete
    }


def _lost(cell: str, progress: CellProgress) -> Wait:
    """Return what a cell waits for whose visit failed."""
    if progress.status is CellStatus.BROKEN:
        message = f"neither here nor there: {progress.message}; see to it, then retry or skip it"
        return Wait(cell, WaitCode.QUARANTINED, message)
    return Wait(cell, WaitCode.FAILED, f"it failed: {progress.message}; retry or skip it")


def _confounded(seen: Survey) -> str:
    for number, ring in seen.state.rings.items():
        for bake in (ring.bake if number == seen.ring else None, ring.late_bake):
            if bake is not None and bake.verdict is Verdict.CONFOUNDED:
                return (
                    f"the bake of ring {number} is confounded: {bake.message}: nothing starts "
                    "until what else is going on is over"
                )
    return ""


def _length(length: timedelta) -> str:
    """Say a length of time as people do, to the minute."""
    minutes = int(length.total_seconds() // 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{n}{unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if n]
    return " ".join(parts) or f"{int(length.total_seconds())}s"
