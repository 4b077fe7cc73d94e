"""The engine in virtual time does what a server and its workers do; the SDK itself is the judge."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowHistory
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from controlplane.payloads import data_converter
from rollout.simulation.virtual.activities import NotSimulated
from rollout.simulation.virtual.engine import Engine
from rollout.simulation.virtual.instance import CannotReplay, WorkflowTaskFailed

BEGAN = datetime(2026, 11, 2, 8, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
AT_MOST_TWICE = RetryPolicy(initial_interval=10 * SECOND, maximum_attempts=2)


@dataclass
class Shop:
    """Where activities are done; some fail."""

    engine: Engine
    failures: dict[str, int] = field(default_factory=dict)
    """How often what is asked for is still to fail."""
    done: list[tuple[str, timedelta]] = field(default_factory=list)
    """What was tried, and how long after the beginning."""

    @activity.defn
    async def buy(self, what: str) -> int:
        self.done.append((what, self.engine.now - BEGAN))
        left = self.failures.get(what, 0)
        self.failures[what] = left - 1
        if left > 0:
            raise ConnectionError(f"no {what} today")
        return len(what)

    @activity.defn
    async def haggle(self) -> None:
        await asyncio.sleep(0)


@workflow.defn
class Errand:
    """A child that takes a minute, and tells its parent."""

    @workflow.run
    async def run(self, what: str) -> str:
        await workflow.sleep(MINUTE)
        parent = workflow.info().parent
        target = parent.workflow_id if parent else "nobody"
        try:
            await workflow.get_external_workflow_handle(target).signal("told", what)
        except ApplicationError as gone:
            return str(gone)
        return what


@workflow.defn
class Day:
    """Uses everything that the engine knows."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._sum = 0

    @workflow.signal
    def told(self, what: str) -> None:
        self._told.append(what)

    @workflow.update
    def add(self, amount: int) -> int:
        self._sum += amount
        return self._sum

    @add.validator
    def _check_add(self, amount: int) -> None:
        if amount < 0:
            raise ApplicationError(f"{amount} is less than nothing", type="Refused")

    @workflow.run
    async def run(self, day: int) -> int:
        for what in ("milk", "bread"):
            try:
                await workflow.execute_activity(
                    "buy", what, start_to_close_timeout=HOUR, retry_policy=AT_MOST_TWICE
                )
            except ActivityError as error:
                self._told.append(str(error.cause))
        child = await workflow.start_child_workflow(Errand.run, f"post {day}", id=f"errand-{day}")
        with pytest.raises(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(Errand.run, "again", id=f"errand-{day}")
        # A timer that is over before it begins is none.
        await workflow.wait_condition(lambda: True, timeout=MINUTE)
        await workflow.wait_condition(lambda: f"post {day}" in self._told, timeout=HOUR)
        assert await child == f"post {day}"
        try:
            await workflow.wait_condition(lambda: self._sum >= 10, timeout=8 * HOUR)
        except TimeoutError:
            if day < 3:
                workflow.continue_as_new(day + 1)
        return day


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine([Day, Errand], began_at=BEGAN, keeps_histories=True) as engine:
        yield engine
        assert_the_sdk_replays_everything(engine)


@pytest.fixture
def shop(engine: Engine) -> Shop:
    shop = Shop(engine)
    engine.offer([shop.buy, shop.haggle])
    return shop


def assert_the_sdk_replays_everything(engine: Engine) -> None:
    async def replay() -> None:
        replayer = Replayer(
            workflows=[Day, Errand],
            workflow_runner=UnsandboxedWorkflowRunner(),
            data_converter=data_converter,
        )
        for workflow_id, runs in engine.runs.items():
            for run in runs:
                await replayer.replay_workflow(WorkflowHistory(workflow_id, run.history.events))

    asyncio.run(replay())


def until(engine: Engine, condition: Callable[[], bool]) -> None:
    engine.go_on(BEGAN + 100 * HOUR, condition)
    assert condition()


def over(engine: Engine, workflow_id: str = "day") -> Callable[[], bool]:
    return lambda: not engine.is_under_way(workflow_id)


def test_days_go_by_at_once_and_the_sdk_replays_each_run_of_them(
    engine: Engine, shop: Shop
) -> None:
    engine.start(Day, "day", 1)

    until(engine, over(engine))

    assert len(engine.runs["day"]) == 3
    assert [runs[0].has_ended for runs in engine.runs.values()] == [True] * 4
    assert 24 * HOUR < engine.now - BEGAN < 25 * HOUR
    assert [what for what, _ in shop.done] == ["milk", "bread"] * 3


def test_an_update_is_answered_or_refused_and_a_refusal_leaves_no_trace(
    engine: Engine, shop: Shop
) -> None:
    engine.start(Day, "day", 1)
    engine.go_on(BEGAN + HOUR)
    length = engine.runs["day"][0].history.length

    refused = engine.update("day", "add", -1)
    until(engine, lambda: refused.is_answered)
    with pytest.raises(ApplicationError, match="less than nothing") as refusal:
        refused.result(int)
    assert refusal.value.type == "Refused"
    assert engine.runs["day"][0].history.length == length

    answers = [engine.update("day", "add", amount) for amount in (3, -2, 7)]
    until(engine, lambda: all(answer.is_answered for answer in answers))
    assert [answers[0].result(int), answers[2].result(int)] == [3, 10]
    until(engine, over(engine))
    late = engine.update("day", "add", 1)
    with pytest.raises(ApplicationError, match="day is not under way"):
        late.result(int)
    assert shop.done


def test_what_fails_is_tried_again_by_its_policy_and_then_given_up(
    engine: Engine, shop: Shop
) -> None:
    shop.failures |= {"milk": 1, "bread": 2}
    engine.start(Day, "day", 3)

    until(engine, over(engine))

    tried = [what for what, _ in shop.done]
    assert tried == ["milk", "milk", "bread", "bread"]
    first, second = (after for what, after in shop.done if what == "milk")
    assert second - first == 10 * SECOND


def test_a_workflow_that_is_forgotten_goes_on_from_its_history(engine: Engine, shop: Shop) -> None:
    engine.start(Day, "day", 3)
    refused = engine.update("day", "add", -1)
    added = engine.update("day", "add", 4)
    for _ in range(20):
        engine.go_on(engine.now + 10 * SECOND)
        engine.forget()

    more = engine.update("day", "add", 6)

    until(engine, over(engine))
    assert (added.result(int), more.result(int)) == (4, 10)
    assert refused.is_answered
    assert len(shop.done) == 2, "nothing is done anew"


def test_one_seed_makes_one_course_of_events() -> None:
    def times(seed: int) -> list[int]:
        with Engine([Day, Errand], began_at=BEGAN, seed=seed, keeps_histories=True) as engine:
            engine.offer([Shop(engine).buy])
            for number in range(3):
                engine.start(Errand, f"errand-{number}", "")
            engine.start(Day, "day", 3)
            until(engine, over(engine))
            runs = [run for runs in engine.runs.values() for run in runs]
            return [e.event_time.ToNanoseconds() for run in runs for e in run.history.events]

    assert times(seed=1) == times(seed=1)
    assert times(seed=1) != times(seed=2)


def test_a_child_that_outlives_its_parent_finds_nobody_to_tell(engine: Engine, shop: Shop) -> None:
    engine.start(Errand, "errand", "alone")
    engine.start(Day, "day", 3)
    until(engine, lambda: engine.is_under_way("errand-3"))

    engine.terminate("day", "it rains")
    engine.go_on(BEGAN + HOUR)

    assert not any(engine.is_under_way(each) for each in ("day", "errand", "errand-3"))
    assert shop.done


def test_a_newer_version_is_offered_to_what_is_under_way(engine: Engine, shop: Shop) -> None:
    engine.start(Day, "day", 3)
    engine.go_on(BEGAN + HOUR)
    assert shop.done

    engine.deploy()
    until(engine, over(engine))

    events = engine.runs["day"][0].history.events
    began = [e.workflow_task_started_event_attributes for e in events if "started" in str(e)]
    assert [each.target_worker_deployment_version_changed for each in began].count(True) == 1


@workflow.defn
class Odd:
    """Does what the engine cannot have, and what no engine can."""

    @workflow.run
    async def run(self, what: str) -> None:
        match what:
            case "has a defect":
                raise RuntimeError("a defect")
            case "keeps a memo":
                workflow.upsert_memo({"milk": 1})
            case "haggles":
                await workflow.execute_activity("haggle", start_to_close_timeout=HOUR)
            case _:
                await workflow.sleep(next(CHANGING))


CHANGING = cycle([MINUTE, HOUR])


@pytest.mark.parametrize(
    ("what", "error", "why"),
    [
        ("has a defect", WorkflowTaskFailed, "odd: a defect"),
        ("keeps a memo", NotSimulated, "odd asks for modify_workflow_properties"),
        ("haggles", NotSimulated, "haggle waits for something"),
    ],
)
def test_what_cannot_go_on_says_so(what: str, error: type[Exception], why: str) -> None:
    with Engine([Odd], began_at=BEGAN) as engine:
        engine.offer([Shop(engine).haggle])
        engine.start(Odd, "odd", what)

        with pytest.raises(error, match=why):
            engine.go_on(BEGAN + HOUR)


def test_code_that_does_otherwise_the_second_time_is_found_out() -> None:
    with Engine([Odd], began_at=BEGAN, keeps_histories=True) as engine:
        engine.start(Odd, "odd", "is fickle")
        engine.go_on(BEGAN + SECOND)
        engine.forget()

        with pytest.raises(CannotReplay, match="odd"):
            engine.go_on(BEGAN + HOUR)
