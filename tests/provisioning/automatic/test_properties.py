"""Laws of automatic failover, whatever happens to cells, vantage points and namespaces."""

from datetime import datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import TypeAdapter

from provisioning.automatic.sight import CellFacts
from provisioning.automatic.types import (
    AvailabilityPolicy,
    AvailabilityState,
    Ballot,
    Choice,
    Move,
    Tally,
    Verdict,
)
from provisioning.types import FailoverCause
from tests.provisioning.automatic.soak import Soak
from tests.provisioning.automatic.watching import (
    E1,
    E2,
    EAST,
    MINUTE,
    N1,
    N2,
    NORTH,
    SECOND,
    W1,
    W2,
    WEST,
    Watched,
    namespace,
)

CELLS = (E1, E2, W1, W2, N1, N2)
REGIONS = (EAST, WEST, NORTH)
POLICY = AvailabilityPolicy(most_per_minute=5, most_at_once=3, flaps=4)
STATE = TypeAdapter(AvailabilityState)
SOAK_ROUNDS = 6_000

cells, regions = st.sampled_from(CELLS), st.sampled_from(REGIONS)


class Fleets(RuleBasedStateMachine):
    """A fleet of which parts fall silent and come back, in any order, for any time."""

    def __init__(self) -> None:
        super().__init__()
        random = Random(1)  # noqa: S311 - the same namespaces every time
        self.fleet = Watched(state=AvailabilityState(policy=POLICY)).has(
            *(namespace(f"n{n}.acme1", *random.sample(CELLS, 1 + n % 3)) for n in range(24)),
            *(namespace(f"own{n}.acme1", *CELLS[n : n + 2], managed=False) for n in range(4)),
        )
        self.asked: list[tuple[datetime, Move]] = []
        self.fleet.watch(MINUTE)

    @rule(cell=cells)
    def lose(self, cell: str) -> None:
        self.fleet.lost ^= {cell}

    @rule(region=regions)
    def lose_a_region(self, region: str) -> None:
        self.fleet.lost |= {cell for cell in CELLS if cell.startswith(region)}

    @rule(region=regions)
    def silence(self, region: str) -> None:
        self.fleet.silent ^= {region}

    @rule(region=regions)
    def isolate(self, region: str) -> None:
        self.fleet.isolated ^= {region}

    @rule(region=regions, cell=cells)
    def mislead(self, region: str, cell: str) -> None:
        self.fleet.liars[region] = self.fleet.liars.get(region, set()) ^ {cell}

    @rule(cell=cells, visit=st.sampled_from(["", "spring (server)"]))
    def visit(self, cell: str, visit: str) -> None:
        self.fleet.changed[cell] = CellFacts(cell, cell[:-3], visit=visit)

    @rule()
    def recover(self) -> None:
        fleet = self.fleet
        for broken in (fleet.lost, fleet.silent, fleet.isolated, fleet.liars, fleet.changed):
            broken.clear()

    @rule(name=st.sampled_from([f"n{n}.acme1" for n in range(24)]))
    def fail(self, name: str) -> None:
        self.fleet.failing ^= {name}

    @rule(rounds=st.integers(1, 8), every=st.sampled_from([5, 10, 60, 600]))
    def watch(self, rounds: int, every: int) -> None:
        for _ in range(rounds):
            before = dict(self.fleet.namespaces)
            plan = self.fleet.look(every * SECOND)
            for move in plan.moves:
                self._is_right(move, before[move.namespace].active)
            self.asked += [(self.fleet.now, move) for move in plan.moves]

    @rule()
    def carry_to_another_run(self) -> None:
        self.fleet.state = STATE.validate_json(STATE.dump_json(self.fleet.state))

    @invariant()
    def the_budgets_are_kept(self) -> None:
        for at, _ in self.asked:
            within = [m for a, m in self.asked if at <= a < at + MINUTE]
            assert len(within) <= POLICY.most_per_minute
            cells = {
                m.cell
                for a, m in self.asked
                if at <= a <= at + POLICY.cells_window and m.cause is FailoverCause.AUTOMATIC
            }
            assert len(cells) <= POLICY.most_cells or len({cell[:-3] for cell in cells}) == 1
        for at in {at for at, _ in self.asked}:
            assert sum(a == at for a, _ in self.asked) <= POLICY.most_at_once

    @invariant()
    def everything_that_does_not_move_has_a_reason(self) -> None:
        for each in self.fleet.plan.decisions:
            assert each.reason
            assert (each.choice is Choice.MOVES) is (
                each.namespace in {move.namespace for move in self.fleet.plan.moves}
            )

    @invariant()
    def it_can_be_told_at_any_time(self) -> None:
        assert len(self.fleet.view.cells) == len(CELLS)

    def _is_right(self, move: Move, was_active: str) -> None:
        sight, found = self.fleet.sight, self.fleet.namespaces[move.namespace]
        assert sight is not None, "it has just looked"
        assert found.managed
        target = self.fleet.record(move.target)
        assert target.verdict is Verdict.WELL
        assert not sight.cells[move.target].visit
        if move.cause is FailoverCause.FAILBACK:
            assert was_active != move.cell == move.target
            return
        count, record = sight.counts[move.cell], self.fleet.record(move.cell)
        lost = [vote for vote in count.votes if vote.ballot is Ballot.LOST]
        assert was_active == move.cell
        assert count.tally is Tally.LOST
        assert record.lost_since is not None
        assert record.lost_rounds >= POLICY.lost_rounds
        assert sight.now - record.lost_since >= POLICY.lost_for
        assert len({vote.kind for vote in lost}) >= 2
        assert len({vote.region for vote in lost}) >= 2
        outside = [vote for vote in count.votes if vote.region != move.cell[:-3]]
        assert 2 * len(lost) > len(count.votes) or len(lost) == len(outside)


Fleets.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestFleets = Fleets.TestCase


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_a_fleet_that_nothing_happens_to_is_left_alone_whoever_errs(seed: int) -> None:
    soak = Soak(seed)

    soak.run(SOAK_ROUNDS // 5)

    assert soak.fleet.moved == []
    assert soak.seen["rounds in which somebody said of some cell that it was lost"] > 100


def test_among_all_the_errors_a_real_loss_is_still_acted_on() -> None:
    """A watch that never does anything would make no mistakes either."""
    soak = Soak(seed=1)
    soak.run(500)
    soak.outage = {E1}
    soak.run(60)

    assert {move.namespace for move in soak.fleet.moved} == {"orders.acme1"}
