"""Who says that a cell is lost, whose word counts, and whether that is enough. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controlplane.resource import ConditionStatus
from provisioning.automatic.sight import (
    CellFacts,
    FleetSurvey,
    PeerSays,
    ProbeReport,
    Round,
    Trouble,
)
from provisioning.automatic.types import (
    AvailabilityPolicy,
    Ballot,
    Tally,
    VantageKind,
    VantageView,
    Vote,
)

ENTITY_SILENT_AFTER = timedelta(minutes=3)
"""An entity speaks every two minutes though nothing is new."""


@dataclass(frozen=True)
class Count:
    """What all vantage points together say of one cell."""

    tally: Tally
    votes: tuple[Vote, ...]
    message: str
    """Such as `4 of 5 vantage points say lost, 3 are enough`."""
    unanimous: bool = False
    """Whether nobody says that it is well."""

    @property
    def is_doubted(self) -> bool:
        """Whether somebody says that it is lost."""
        return any(vote.ballot is Ballot.LOST for vote in self.votes)

    @property
    def frontend_answers(self) -> bool:
        return any(vote.frontend_answers for vote in self.votes)


def looking_regions(survey: FleetSurvey, policy: AvailabilityPolicy) -> tuple[str, ...]:
    """Return the regions whose workers are asked."""
    return tuple(sorted({cell.region for cell in survey.cells} | set(policy.witnesses)))


def vantages(seen: Round, policy: AvailabilityPolicy) -> tuple[VantageView, ...]:
    """Say of each region's workers whether they answered, and whether their word counts."""
    reports = {report.region: report for report in seen.reports}
    cells = {cell.id: cell for cell in seen.survey.cells}
    return tuple(
        _vantage(region, reports.get(region), cells, seen, policy)
        for region in looking_regions(seen.survey, policy)
    )


def doubted(seen: Round, policy: AvailabilityPolicy) -> set[str]:
    """Return the cells that somebody says are lost whose word counts: peers are asked of those."""
    return {cell for cell, count in counts(seen, policy).items() if count.is_doubted}


def counts(
    seen: Round, policy: AvailabilityPolicy, peers_asked: Iterable[str] = ()
) -> dict[str, Count]:
    """Count the votes for every cell. Peers have a say where they were asked."""
    trusted = {view.region: view for view in vantages(seen, policy)}
    asked = set(peers_asked)
    words = _words(seen)
    distrusted = _lonely_peers(seen)
    counted: dict[str, Count] = {}
    for cell in seen.survey.cells:
        votes = [
            _of_workers(cell.id, view, words.get((region, cell.id)), seen.began_at)
            for region, view in trusted.items()
        ]
        votes.append(_of_entity(cell, seen.survey.at))
        counted[cell.id] = count(cell, votes)
    if not asked:
        return counted
    # A peer that is in doubt itself is not heard: so the others' votes come first.
    in_doubt = {cell for cell, each in counted.items() if each.is_doubted}
    said = {(each.cell, each.peer): each for each in seen.peers}
    regions = {cell.id: cell.region for cell in seen.survey.cells}
    for cell in seen.survey.cells:
        if cell.id in asked:
            votes = [
                *counted[cell.id].votes,
                *(
                    _of_peer(
                        peer,
                        regions.get(peer, ""),
                        said.get((cell.id, peer)),
                        "is in doubt itself" if peer in in_doubt else distrusted.get(peer, ""),
                        seen.began_at,
                    )
                    for peer in cell.peers
                ),
            ]
            counted[cell.id] = count(cell, votes)
    return counted


def count(cell: CellFacts, votes: Sequence[Vote]) -> Count:
    """Decide by majority of all vantage points there are, silent ones included.

    Two kinds and two regions have to agree where there are two. A region that falls silent as a
    whole is lost if at least two others say so, and nobody else says anything else.
    """
    lost = [vote for vote in votes if vote.ballot is Ballot.LOST]
    well = [vote for vote in votes if vote.ballot is Ballot.WELL]
    enough = len(votes) // 2 + 1
    said = f"{len(lost)} of {len(votes)} vantage points say lost, {len(well)} well"
    missing = _missing(votes, lost)
    if len(lost) >= enough and not missing:
        return Count(Tally.LOST, tuple(votes), f"{said}: enough", unanimous=not well)
    if _has_gone_dark(cell, votes):
        message = f"{said}; all of {cell.region} is silent, and all others say lost: enough"
        return Count(Tally.LOST, tuple(votes), message, unanimous=True)
    if len(well) >= enough:
        return Count(Tally.WELL, tuple(votes), said)
    if len(lost) >= enough:
        return Count(Tally.UNCLEAR, tuple(votes), f"{said}, but no word of {missing}: not enough")
    return Count(Tally.UNCLEAR, tuple(votes), f"{said}: {enough} are needed")


def _missing(votes: Sequence[Vote], lost: Sequence[Vote]) -> str:
    """Name what a majority still lacks: one faulty way of looking must not decide."""
    if len({v.kind for v in lost}) < min(2, len({v.kind for v in votes})):
        return "a second kind of vantage point"
    if len({v.region for v in lost}) < min(2, len({v.region for v in votes})):
        return "a second region"
    return ""


def _has_gone_dark(cell: CellFacts, votes: Sequence[Vote]) -> bool:
    own = [vote for vote in votes if vote.region == cell.region]
    others = [vote for vote in votes if vote.region != cell.region]
    return (
        all(vote.ballot is Ballot.ABSTAINS for vote in own)
        and all(vote.ballot is Ballot.LOST for vote in others)
        and len({vote.region for vote in others}) >= 2
        and len({vote.kind for vote in others}) >= 2
    )


def _vantage(
    region: str,
    report: ProbeReport | None,
    cells: Mapping[str, CellFacts],
    seen: Round,
    policy: AvailabilityPolicy,
) -> VantageView:
    if report is None:
        within = f"{policy.stale_after.total_seconds():g} s"
        return VantageView(region, False, False, f"its workers did not answer within {within}")
    took = seen.ended_at - seen.began_at
    if took > 3 * policy.stale_after:
        return VantageView(region, True, False, f"its word is {took.total_seconds():.0f} s old")
    lost = [cells[each.cell] for each in report.lost if each.cell in cells]
    well = [cells[cell] for cell in report.well if cell in cells]
    if alone := _is_alone(lost, well):
        return VantageView(region, True, False, f"{alone}: the fault may be its own")
    return VantageView(region, True, True)


def _is_alone(lost: Sequence[CellFacts], well: Sequence[CellFacts]) -> str:
    """Say why who finds these cells lost is rather lost itself; nothing where it is not.

    That most of what it looks at is lost is to be believed of one region only, and only while it
    sees another.
    """
    if 2 * len(lost) <= len(lost) + len(well):
        return ""
    regions = {cell.region for cell in lost}
    if len(regions) == 1 and any(cell.region not in regions for cell in well):
        return ""
    return f"it finds {len(lost)} of {len(lost) + len(well)} cells lost"


def _words(seen: Round) -> dict[tuple[str, str], tuple[Ballot, Trouble | None]]:
    """Return what each region's workers say, by region and cell."""
    words: dict[tuple[str, str], tuple[Ballot, Trouble | None]] = {}
    for report in seen.reports:
        words |= {(report.region, cell): (Ballot.WELL, None) for cell in report.well}
        words |= {(report.region, each.cell): (Ballot.LOST, each) for each in report.lost}
        words |= {(report.region, each.cell): (Ballot.ABSTAINS, each) for each in report.unsure}
    return words


def _of_workers(
    cell: str, view: VantageView, word: tuple[Ballot, Trouble | None] | None, at: datetime
) -> Vote:
    name, kind = f"{VantageKind.WORKERS}/{view.region}", VantageKind.WORKERS
    if not view.answers:
        return Vote(name, kind, view.region, Ballot.ABSTAINS, None, view.message)
    if not view.trusted:
        return Vote(name, kind, view.region, Ballot.ABSTAINS, at, view.message)
    if word is None:
        why = f"did not look at {cell}, which it may not know yet"
        return Vote(name, kind, view.region, Ballot.ABSTAINS, at, why)
    ballot, trouble = word
    answers = ballot is Ballot.WELL or (trouble is not None and trouble.frontend_answers)
    why = "" if trouble is None else trouble.why
    return Vote(name, kind, view.region, ballot, at, why, frontend_answers=answers)


def _of_entity(cell: CellFacts, now: datetime) -> Vote:
    name, kind = f"{VantageKind.ENTITY}/{cell.id}", VantageKind.ENTITY
    if cell.said_at is None or now - cell.said_at > ENTITY_SILENT_AFTER:
        why = "its entity says nothing"
        return Vote(name, kind, cell.region, Ballot.ABSTAINS, cell.said_at, why)
    match cell.ready:
        case ConditionStatus.TRUE:
            return Vote(name, kind, cell.region, Ballot.WELL, cell.said_at)
        case ConditionStatus.FALSE:
            return Vote(name, kind, cell.region, Ballot.LOST, cell.said_at, cell.ready_message)
        case ConditionStatus.UNKNOWN:
            return Vote(name, kind, cell.region, Ballot.ABSTAINS, cell.said_at, cell.ready_message)


def _of_peer(peer: str, region: str, said: PeerSays | None, doubt: str, at: datetime) -> Vote:
    name, kind = f"{VantageKind.PEER}/{peer}", VantageKind.PEER
    if doubt:
        return Vote(name, kind, region, Ballot.ABSTAINS, at, doubt)
    if said is None:
        return Vote(name, kind, region, Ballot.ABSTAINS, None, "nobody could ask it in time")
    return Vote(name, kind, region, said.ballot, at, said.why)


def _lonely_peers(seen: Round) -> dict[str, str]:
    """Return the peers that get nothing from anywhere, and why that is not believed.

    Peers are asked about cells in doubt alone, which may well all be of one region.
    """
    cells = {cell.id: cell for cell in seen.survey.cells}
    lonely: dict[str, str] = {}
    for peer in {each.peer for each in seen.peers}:
        said = [each for each in seen.peers if each.peer == peer and each.cell in cells]
        regions = {cells[each.cell].region for each in said if each.ballot is Ballot.LOST}
        if len(regions) > 1 and not any(each.ballot is Ballot.WELL for each in said):
            lonely[peer] = f"it gets nothing from {len(regions)} regions: the fault may be its own"
    return lonely
