"""How a cell's life is told: layer by layer, on a screen and in lines."""

from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from cells.life.types import Layer, LayerRecord, LifeView, Phase
from cells.providers.types import Account
from controlplane.cli.life.watch import Lines, Screen, goal_of
from controlplane.cli.life.words import (
    BUILDING,
    DISMANTLING,
    LayerState,
    deleted_with,
    layer_state,
    layer_title,
    what_next,
)
from tests.store.life_views import life_view
from tests.store.views import NOW

PREFLIGHT = LayerRecord(Layer.PREFLIGHT, NOW, NOW + timedelta(seconds=2))
ACCOUNT = LayerRecord(Layer.ACCOUNT, NOW, NOW + timedelta(seconds=90))
BEGUN = LayerRecord(Layer.INFRASTRUCTURE, NOW)


def view(phase: Phase, *layers: LayerRecord, retry_at: datetime | None = None) -> LifeView:
    told = life_view(phase=phase, message="so it is")
    return replace(told, layers=layers, retry_at=retry_at)


def last(
    phase: Phase, record: LayerRecord, retry_at: datetime | None = None
) -> tuple[LayerState, str]:
    look = view(phase, PREFLIGHT, ACCOUNT, record, retry_at=retry_at)
    return layer_state(look, record), layer_title(look, record)


def test_a_layer_is_under_way_stands_fails_waits_or_is_gone() -> None:
    up, down = BUILDING[Layer.INFRASTRUCTURE], DISMANTLING[Layer.INFRASTRUCTURE]
    troubled = replace(BEGUN, problem="no quota")
    built, gone = replace(BEGUN, built_at=NOW), replace(BEGUN, dismantled_at=NOW)

    assert last(Phase.BUILDING, BEGUN) == (LayerState.UNDER_WAY, up)
    assert last(Phase.BUILDING, troubled) == (LayerState.UNDER_WAY, up)
    assert last(Phase.FAILED, troubled) == (LayerState.FAILED, up)
    assert last(Phase.READY, built) == (LayerState.BUILT, up)
    assert last(Phase.DISMANTLING, BEGUN) == (LayerState.UNDER_WAY, down)
    assert last(Phase.DISMANTLING, troubled, retry_at=NOW) == (LayerState.WAITING, down)
    assert last(Phase.DISMANTLING, gone) == (LayerState.GONE, down)
    look = view(Phase.DISMANTLING, PREFLIGHT, ACCOUNT, gone)
    assert layer_state(look, ACCOUNT) is LayerState.UNDER_WAY
    assert layer_state(look, PREFLIGHT) is LayerState.BUILT


def test_lines_are_told_once_each_in_the_order_in_which_it_happens() -> None:
    told = StringIO()
    lines = Lines(Console(file=told, width=200))
    gone = [replace(each, dismantled_at=NOW) for each in (PREFLIGHT, ACCOUNT)]

    for look in (
        view(Phase.BUILDING, PREFLIGHT),
        view(Phase.BUILDING, PREFLIGHT, ACCOUNT),
        view(Phase.BUILDING, PREFLIGHT, ACCOUNT),
        view(Phase.DISMANTLING, PREFLIGHT, ACCOUNT),
        view(Phase.GONE, *gone),
    ):
        lines.show(look)

    said = [" ".join(line.split()) for line in told.getvalue().splitlines()]
    assert said == [
        "✓ Ask whether it may be built there 2.00 s",
        "✓ Make its account 1 min 30 s",
        "… Sweep its account and close it",
        "aws-us-east-1-c9: Dismantling, so it is",
        "↩ Sweep its account and close it",
        "↩ Forget that it was to be built",
    ]


def test_a_screen_shows_every_layer_and_what_can_be_done() -> None:
    told = StringIO()
    console = Console(file=told, width=120)
    look = view(Phase.FAILED, PREFLIGHT, ACCOUNT, replace(BEGUN, problem="no quota"))

    console.print(Screen()(look, NOW, console))

    assert "✓ Make its account" in told.getvalue()
    assert "no quota" in told.getvalue()
    assert "controlplane cell retry aws-us-east-1-c9" in told.getvalue()


def test_what_is_deleted_is_what_was_begun_and_is_not_gone() -> None:
    known = view(Phase.FAILED, PREFLIGHT, ACCOUNT, BEGUN)

    assert deleted_with(replace(known, account=Account("123456789012"))) == (
        "This deletes its network, cluster and database with all data; its account 123456789012."
    )
    assert deleted_with(view(Phase.WAITING, PREFLIGHT)) == "Nothing of it was made yet."


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_says_where_it_leads_and_what_can_be_done(phase: Phase) -> None:
    look = view(phase, PREFLIGHT)
    going = (Phase.DRAINING, Phase.DISMANTLING, Phase.GONE)

    assert goal_of(look) is (Phase.GONE if phase in going else Phase.READY)
    assert ("controlplane " in what_next(look)) is (phase not in (Phase.READY, Phase.GONE))
