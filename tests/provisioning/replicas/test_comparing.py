"""What is missing is found, in any order and amount; what is on its way is not missing."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.replicas.comparing import Pace, compare
from provisioning.replicas.executions import Seen, Span
from tests.eventually import eventually
from tests.provisioning.replicas.shards import forget_how_far_peers_have_read
from tests.provisioning.replicas.tenancy import Tenancy

NOW = datetime(2026, 11, 22, tzinfo=UTC)
AT_ONCE = Pace(in_memory=8, settling=timedelta(0))


@dataclass
class Held:
    """What a cell holds, in memory; it counts how much it was asked to return at once."""

    executions: list[Seen] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)
    """Of histories, by run id."""
    most: int = 0
    listed: int = 0
    then: Callable[[int], None] = lambda _: None
    """What happens meanwhile: told how many times it was listed."""

    async def count(self, span: Span) -> int:
        return len(self._of(span))

    async def within(self, span: Span) -> dict[str, Seen]:
        self.listed += 1
        self.then(self.listed)
        found = {seen.run_id: replace(seen, events=0) for seen in self._of(span)}
        self.most = max(self.most, len(found))
        return found

    async def measure(self, executions: Sequence[Seen], at_once: int) -> None:
        assert at_once > 0
        for execution in executions:
            execution.events = self.lengths.get(execution.run_id, 1)

    def _of(self, span: Span) -> list[Seen]:
        return [seen for seen in self.executions if seen.started_at in span]


def run(number: int, age: timedelta = timedelta(hours=2), status: str = "COMPLETED") -> Seen:
    return Seen(f"w-{number}", f"r-{number}", NOW - age, status, is_open=status == "RUNNING")


AGES = st.one_of(
    st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=5)),
    st.timedeltas(timedelta(milliseconds=1), timedelta(days=2_000)),
)


@given(ages=st.lists(AGES, max_size=60), missing=st.sets(st.integers(0, 59)))
@settings(max_examples=60)
def test_exactly_what_is_missing_is_found_and_little_is_held_at_a_time(
    ages: list[timedelta], missing: set[int]
) -> None:
    everything = [run(number, age) for number, age in enumerate(ages)]
    source = Held(everything)
    target = Held([seen for number, seen in enumerate(everything) if number not in missing])

    found = asyncio.run(compare(source, target, NOW, AT_ONCE))

    wanted = {f"w-{number}/r-{number}" for number in missing if number < len(ages)}
    assert set(found.missing) == wanted
    assert found.missing_count == len(wanted)
    assert sum(found.source.values()) == len(ages)
    assert sum(found.target.values()) == len(ages) - len(wanted)
    together = max(
        (sum(abs(a - b) < timedelta(milliseconds=2) for b in ages) for a in ages), default=0
    )
    assert source.most <= max(AT_ONCE.in_memory, together)


def both(*executions: Seen) -> tuple[Held, Held]:
    return Held(list(executions)), Held(list(executions))


async def test_what_arrives_between_two_looks_is_not_missing() -> None:
    source, target = both(run(1))

    def arrives(times: int) -> None:
        target.executions = source.executions if times > 1 else []

    target.then = arrives
    assert (await compare(source, target, NOW, AT_ONCE)).is_complete


async def test_what_is_deleted_between_two_looks_is_not_missing() -> None:
    source, target = both(run(1), run(2))

    def deleted(times: int) -> None:
        source.executions = [run(2)] if times > 1 else [run(1), run(2)]

    source.then = deleted
    target.executions = [run(2)]
    assert (await compare(source, target, NOW, AT_ONCE)).is_complete


async def test_what_began_after_the_comparison_does_not_count() -> None:
    source, target = both(run(1))
    source.executions.append(run(2, age=timedelta(0)))
    found = await compare(source, target, NOW, AT_ONCE)
    assert found.is_complete
    assert found.source == {"COMPLETED": 1}


async def test_one_that_ended_at_the_source_alone_is_missing() -> None:
    source, target = Held([run(1)]), Held([run(1, status="RUNNING")])
    assert (await compare(source, target, NOW, AT_ONCE)).missing == ("w-1/r-1",)
    # The other way round the target is ahead of what the source was when it was looked at.
    assert (await compare(target, source, NOW, AT_ONCE)).is_complete


async def test_a_running_one_with_a_shorter_history_is_missing() -> None:
    source, target = both(run(1, status="RUNNING"), run(2, status="RUNNING"))
    source.lengths, target.lengths = {"r-1": 5, "r-2": 5}, {"r-1": 5, "r-2": 4}
    assert (await compare(source, target, NOW, AT_ONCE)).missing == ("w-2/r-2",)

    def goes_on(times: int) -> None:
        target.lengths["r-2"] = 5 if times > 1 else 4

    target.listed, target.then = 0, goes_on
    assert (await compare(source, target, NOW, AT_ONCE)).is_complete


async def test_of_very_many_the_first_are_named_and_all_are_counted() -> None:
    found = await compare(
        Held([run(number) for number in range(250)]), Held(), NOW, Pace(settling=timedelta(0))
    )
    assert (len(found.missing), found.missing_count) == (100, 250)
    assert found.source == {"COMPLETED": 250}
    assert found.target == {}


async def test_a_gap_that_a_restart_left_is_found_and_mended(tenancy: Tenancy) -> None:
    await tenancy.replicate()
    await tenancy.start_at(tenancy.source, "before", "signalled")
    await tenancy.arrived(tenancy.target, "before", "signalled")
    await tenancy.pair.cut(tenancy.source)
    try:
        await tenancy.start_at(tenancy.source, "lost")
        client = await tenancy.client(tenancy.source)
        await client.get_workflow_handle("signalled").signal("lost too")
        await tenancy.pair.stop(tenancy.source.cell.temporal)
        forget_how_far_peers_have_read(tenancy.source.layout.temporal_database)
        await tenancy.pair.start(tenancy.source.cell.temporal)
    finally:
        await tenancy.pair.mend(tenancy.source)
    await replicates_again(tenancy)

    found = await tenancy.replication.compare(tenancy.here, tenancy.there.cell)

    missing = {name.partition("/")[0] for name in found.missing}
    assert missing >= {"lost", "signalled"}
    assert "before" not in missing
    await tenancy.copy()
    assert (await tenancy.replication.compare(tenancy.here, tenancy.there.cell)).is_complete
    assert await tenancy.signals(tenancy.target, "signalled") == {"lost too"}


async def replicates_again(tenancy: Tenancy) -> None:
    """Return once what is started now arrives; what was started before may never."""
    started: list[str] = []

    async def one_arrived() -> bool:
        started.append(f"after-{len(started)}")
        await tenancy.start_at(tenancy.source, started[-1])
        return bool(set(started) & set(await tenancy.statuses(tenancy.target)))

    await eventually(one_arrived, every=0.5)
