"""What comes next in a life: tables, and laws that hold whatever happens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cells.life import plan, record, requests
from cells.life.plan import ORDER, Build, Dismantle, Errand, Rest, Step, next_step
from cells.life.requests import new_state
from cells.life.types import (
    NOBODY,
    CreateCell,
    Layer,
    LifeCommand,
    LifeCommandKind,
    LifeState,
    Phase,
    Residents,
)
from cells.life.view import view
from cells.providers.memory import account_of
from tests.cells.life.living import BLUEPRINT

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
RETRY, ABANDON = LifeCommandKind.RETRY, LifeCommandKind.ABANDON
DECOMMISSION, KEEP = LifeCommandKind.DECOMMISSION, LifeCommandKind.KEEP


def fresh() -> LifeState:
    return new_state(CreateCell("c-1", BLUEPRINT, "ann"))


def up_to(layer: Layer) -> LifeState:
    """Return a life in which everything up to this layer stands."""
    state = fresh()
    for each in ORDER[: ORDER.index(layer) + 1]:
        record.begun(state, each, NOW)
        found = account_of(BLUEPRINT) if each is Layer.ACCOUNT else None
        record.built(state, each, found, NOW)
    return state


def asked(kind: LifeCommandKind, operation: str = "o-1", *, drain: bool = False) -> LifeCommand:
    return LifeCommand(operation, kind, "ann", drain=drain)


def after(state: LifeState, kind: LifeCommandKind) -> LifeState:
    assert not requests.refusal(state, asked(kind))
    requests.take(state, asked(kind, kind.value), NOW)
    return state


def failed_at(layer: Layer) -> LifeState:
    state = fresh() if layer is ORDER[0] else up_to(ORDER[ORDER.index(layer) - 1])
    record.begun(state, layer, NOW)
    record.failed(state, layer, "it would not", NOW)
    return state


def waiting() -> LifeState:
    state = fresh()
    record.begun(state, Layer.PREFLIGHT, NOW)
    record.hindered(state, ["no quota"], NOW)
    return state


def draining(residents: Residents = NOBODY) -> LifeState:
    state = after(up_to(Layer.OPENING), DECOMMISSION)
    record.cordoned(state, NOW)
    if residents.count:
        record.counted(state, residents, NOW)
    return state


def asked_to_go() -> LifeState:
    state = up_to(Layer.OPENING)
    state.asked = asked(DECOMMISSION)
    return state


def dismantling() -> LifeState:
    state = draining()
    record.counted(state, NOBODY, NOW)
    return state


def stuck() -> LifeState:
    state = dismantling()
    record.not_dismantled(state, Layer.OPENING, "it would not", NOW)
    return state


def gone() -> LifeState:
    state = after(waiting(), ABANDON)
    record.dismantled(state, Layer.PREFLIGHT, NOW)
    return state


SOMEBODY = Residents(1, ("n1.acme1",))
STEPS: list[tuple[str, LifeState, datetime, Step]] = [
    ("asked for", fresh(), NOW, Build(Layer.PREFLIGHT)),
    ("an account stands", up_to(Layer.ACCOUNT), NOW, Build(Layer.INFRASTRUCTURE)),
    ("all but the last", up_to(Layer.PROOF), NOW, Build(Layer.OPENING)),
    ("failed", failed_at(Layer.STORES), LATER, Rest(None)),
    ("retried", after(failed_at(Layer.STORES), RETRY), NOW, Build(Layer.ACCOUNT)),
    ("retried at first", after(failed_at(Layer.PREFLIGHT), RETRY), NOW, Build(Layer.PREFLIGHT)),
    ("waiting", waiting(), NOW, Rest(NOW + timedelta(minutes=1))),
    ("waited", waiting(), LATER, Build(Layer.PREFLIGHT)),
    ("waiting, retried", after(waiting(), RETRY), NOW, Build(Layer.PREFLIGHT)),
    ("ready", up_to(Layer.OPENING), LATER, Rest(None)),
    ("asked to go", asked_to_go(), NOW, Errand.ANSWER),
    ("to go", after(up_to(Layer.OPENING), DECOMMISSION), NOW, Errand.CORDON),
    ("cordoned", draining(), NOW, Errand.COUNT),
    ("lived in", draining(SOMEBODY), NOW, Rest(NOW + timedelta(seconds=10))),
    ("lived in, later", draining(SOMEBODY), LATER, Errand.COUNT),
    ("lived in, retried", after(draining(SOMEBODY), RETRY), NOW, Errand.COUNT),
    ("kept", after(draining(SOMEBODY), KEEP), NOW, Errand.REOPEN),
    ("emptied", dismantling(), NOW, Dismantle(Layer.OPENING)),
    ("stuck", stuck(), NOW, Rest(NOW + timedelta(minutes=1))),
    ("stuck, later", stuck(), LATER, Dismantle(Layer.OPENING)),
    ("abandoned", after(failed_at(Layer.STORES), ABANDON), NOW, Dismantle(Layer.STORES)),
    ("abandoned late", after(failed_at(Layer.OPENING), ABANDON), NOW, Errand.CORDON),
    ("gone", gone(), LATER, Rest(None)),
]


@pytest.mark.parametrize(
    ("state", "now", "step"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS]
)
def test_the_next_step(state: LifeState, now: datetime, step: Step) -> None:
    assert next_step(state, now) == step


REFUSALS = {
    Phase.BUILDING: {RETRY: "nothing to try again", DECOMMISSION: "abandon it", KEEP: "never"},
    Phase.WAITING: {DECOMMISSION: "abandon it", KEEP: "was never Ready"},
    Phase.FAILED: {DECOMMISSION: "abandon it", KEEP: "was never Ready"},
    Phase.READY: {
        RETRY: "nothing to try again",
        ABANDON: "decommission it",
        KEEP: "nobody takes it down",
    },
    Phase.DRAINING: {ABANDON: "taken down already", DECOMMISSION: "taken down already"},
    Phase.DISMANTLING: {
        ABANDON: "taken down already",
        DECOMMISSION: "taken down already",
        KEEP: "too late",
    },
    Phase.GONE: dict.fromkeys(LifeCommandKind, "is gone"),
}
IN_PHASE = {
    Phase.BUILDING: fresh(),
    Phase.WAITING: waiting(),
    Phase.FAILED: failed_at(Layer.NAME),
    Phase.READY: up_to(Layer.OPENING),
    Phase.DRAINING: draining(SOMEBODY),
    Phase.DISMANTLING: stuck(),
    Phase.GONE: gone(),
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", LifeCommandKind)
def test_what_is_agreed_to_in_which_phase(phase: Phase, kind: LifeCommandKind) -> None:
    refusal = requests.refusal(IN_PHASE[phase], asked(kind))

    assert IN_PHASE[phase].phase is phase
    if kind in REFUSALS[phase]:
        assert REFUSALS[phase][kind] in refusal
    else:
        assert not refusal


def test_every_phase_says_where_it_is() -> None:
    messages = {phase: view(state, NOW).message for phase, state in IN_PHASE.items()}

    assert messages == {
        Phase.BUILDING: "layer Preflight is being built",
        Phase.WAITING: (
            "it cannot be built there yet: no quota; it is looked at again at 12:01:00 UTC"
        ),
        Phase.FAILED: (
            "layer Name could not be built: it would not. Mend the cause and retry, or abandon "
            "the cell"
        ),
        Phase.READY: "it serves, and takes namespaces",
        Phase.DRAINING: (
            "1 namespace lives there: n1.acme1. It is taken down when all have moved; it is looked "
            "at again at 12:00:10 UTC"
        ),
        Phase.DISMANTLING: (
            "layer Opening is not gone yet: it would not; it is looked at again at 12:01:00 UTC"
        ),
        Phase.GONE: "nothing of it is left; its name and its network are never used again",
    }


def test_a_layer_that_stood_and_cannot_be_built_again_is_not_said_to_stand() -> None:
    state = after(failed_at(Layer.NAME), RETRY)
    record.begun(state, Layer.ACCOUNT, NOW)
    record.failed(state, Layer.ACCOUNT, "it was closed", NOW)

    account = state.layers[Layer.ACCOUNT]
    assert (account.built_at, account.problem, account.attempts) == (None, "it was closed", 2)


def test_what_is_not_there_is_looked_for_ever_less_often() -> None:
    state, pauses = waiting(), []
    for _ in range(6):
        assert state.retry_at is not None
        pauses.append(state.retry_at - NOW)
        record.hindered(state, ["no quota"], NOW)

    assert [pause // timedelta(minutes=1) for pause in pauses] == [1, 2, 4, 8, 10, 10]
    assert plan.DISMANTLING.pause(10_000) == plan.DISMANTLING.longest


def test_a_command_is_remembered_and_its_operation_means_nothing_else() -> None:
    state = after(failed_at(Layer.NAME), RETRY)

    assert requests.is_taken(state, asked(RETRY, "Retry"))
    assert not requests.reused(state, asked(RETRY, "Retry"))
    assert "operation Retry was to retry" in requests.reused(state, asked(ABANDON, "Retry"))
    for number in range(100):
        requests.take(state, asked(ABANDON, f"o-{number}"), NOW)
    assert len(state.commands) == requests.KNOWN


OUTCOMES = ("well", "refused", "well", "well")
"""Of a step: most go well."""


@settings(max_examples=60)
@given(st.data())
def test_nothing_is_built_on_what_is_missing_and_all_goes_in_the_reverse_order(
    data: st.DataObject,
) -> None:
    """Whatever fails and whatever is asked in between, in any order."""
    state, now, standing, taken_down = fresh(), NOW, set[Layer](), list[Layer]()
    for number in range(60):
        now += timedelta(hours=1)
        if data.draw(st.integers(0, 5)) == 0:
            command = asked(data.draw(st.sampled_from(LifeCommandKind)), f"o-{number}")
            if not requests.refusal(state, command):
                requests.take(state, command, now)
        goes_well = data.draw(st.sampled_from(OUTCOMES)) == "well"
        match next_step(state, now):
            case Build(layer):
                assert not taken_down, "what is taken down is never built again"
                below = ORDER[: ORDER.index(layer)]
                assert set(below) <= standing, "all below it stands"
                record.begun(state, layer, now)
                standing.discard(layer)
                if goes_well:
                    standing.add(layer)
                    record.built(state, layer, None, now)
                elif layer is Layer.PREFLIGHT and data.draw(st.booleans()):
                    record.hindered(state, ["no quota"], now)
                else:
                    record.failed(state, layer, "it would not", now)
            case Dismantle(layer):
                above = [each for each in ORDER[ORDER.index(layer) + 1 :] if each in state.layers]
                assert taken_down == above[::-1], "all above it is gone, and was in this order"
                assert not state.residents.count, "nobody lives there"
                if goes_well:
                    taken_down.append(layer)
                    record.dismantled(state, layer, now)
                else:
                    record.not_dismantled(state, layer, "it would not", now)
            case Errand.CORDON:
                record.cordoned(state, now)
            case Errand.COUNT:
                record.counted(state, NOBODY if goes_well else SOMEBODY, now)
            case Errand.REOPEN:
                record.reopened(state, now)
            case Errand.ANSWER | Rest():
                pass
        assert view(state, now).message
    if state.phase is Phase.GONE:
        assert taken_down == [layer for layer in reversed(ORDER) if layer in state.layers]
    if state.phase is Phase.READY:
        assert set(ORDER) == standing


def test_what_is_carried_from_run_to_run_is_what_was_there() -> None:
    adapter = TypeAdapter(LifeState)
    for state in (*IN_PHASE.values(), replace(asked_to_go(), account=account_of(BLUEPRINT))):
        assert adapter.validate_json(adapter.dump_json(state)) == state


def test_a_cell_that_is_abandoned_before_anything_was_begun_is_gone() -> None:
    assert after(fresh(), ABANDON).phase is Phase.GONE
