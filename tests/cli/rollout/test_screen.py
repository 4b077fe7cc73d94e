"""What `controlplane rollout watch` shows on a terminal."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from cells.visits.types import VisitPhase
from controlplane.cli.rollout.heat_map import heat_map
from controlplane.cli.rollout.screen import Look, Screen
from rollout.bake import Bake
from rollout.gates import Verdict
from rollout.people import Emergency
from rollout.types import CellStatus, Event, Outcome, Phase, RolloutView, Wait, WaitCode
from tests.cli.rollout.views import HOUR, NOW, ended, look, progress, rollout


def shown(look: Look, width: int, height: int | None = None) -> list[str]:
    written = io.StringIO()
    console = Console(
        file=written,
        width=width,
        height=height,
        force_terminal=height is not None,
        color_system=None,
    )
    console.print(Screen(look, NOW, height))
    return [line.rstrip() for line in written.getvalue().splitlines()]


WIDE = """\
Rollout 1.32.0, server 1.32.0: forward
by ann@acme.dev, for 3h: quarterly upgrade
Through in about 3d: 2026-11-25 12:00 (p50), 2026-11-27 12:00 (p90)

Ring 0  1 of 1 done, baked  budget 0 of 0 left
        ●

Ring 1  3 of 10 done, 2 under way, 1 failed, 1 deferred, approved by bob@acme.dev
        budget ▮▯ 1 of 2 left, 2 under way
        ●●●s▸✗~···
        bake ███████████████░░░░░░░░░ 2h30m of 4h  pass

Ring 2  0 of 3 done
        ···

s server   ✗ failed, undone   ▸ under way   ~ deferred   · waiting   ● done

Under way
  aws-c3                   server               12s  from 1.31.2 to 1.32.0
  aws-c4                   starting              3m

Waits for
  aws-c7                   calendar         freeze 'year-end' (until 17:00)
  2 cells                  budget           1 of 2 is left, and 2 cells are under way
  3 cells                  ring             ring 1 is not through

Latest
  2026-11-22 11:55:00  held aws-c6: an audit (ann@acme.dev)
  2026-11-22 11:40:00  cell done aws-c2: in 3m""".splitlines()

NARROW = """\
Rollout 1.32.0, server 1.32.0: forward
by ann@acme.dev, for 3h: quarterly upgr…
Through in about 3d: 2026-11-25 12:00 (…

Ring 0  1 of 1 done, baked
        budget 0 of 0 left
        ●

Ring 1  3 of 10 done, 2 under way, 1 fa…
        budget ▮▯ 1 of 2 left, 2 under …
        ●●●s▸✗~···
        bake ███████████████░░░░░░░░░ 2…

Ring 2  0 of 3 done
        ···

s server   ✗ failed, undone
▸ under way   ~ deferred   · waiting
● done""".splitlines()


def test_a_wide_terminal_shows_all_there_is_to_know() -> None:
    assert shown(look(), 100) == WIDE


def test_a_narrow_terminal_shows_what_fits_in_it_line_by_line() -> None:
    lines = shown(look(), 40)

    assert lines[: len(NARROW)] == NARROW
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize("height", [24, 30, 50])
def test_lists_give_way_to_a_low_terminal_and_say_so(height: int) -> None:
    lines = shown(look(replace(rollout(), waits=many_waits())), 100, height)

    assert len(lines) < height
    assert any("more" in line for line in lines)


def many_waits() -> tuple[Wait, ...]:
    return tuple(Wait(f"aws-c{n}", code, f"why {n}") for n, code in enumerate(WaitCode))


def test_rings_of_thousands_of_cells_take_a_few_lines() -> None:
    lines = shown(look(rollout(ring_2=10_000)), 100)

    marks = [line for line in lines if line.strip() and set(line.strip()) == {"·"}]
    assert len(marks) == 3
    assert "a mark stands for up to 37 cells, and shows the worst of them" in lines


def test_of_several_cells_the_one_most_worth_seeing_is_shown() -> None:
    cells = {f"c{n:03}": progress(CellStatus.DONE) for n in range(100)}
    cells |= {"c010": progress(CellStatus.WAITING), "c050": progress(CellStatus.BROKEN)}

    drawn = heat_map(cells, {}, width=10)

    assert drawn.each == 4
    assert "".join(mark.glyph for mark in drawn.marks) == "●●·" + "●" * 9 + "!" + "●" * 12


@pytest.mark.parametrize("status", CellStatus)
def test_every_status_has_a_mark_of_its_own(status: CellStatus) -> None:
    mark = heat_map({"c1": progress(status)}, {}, 10).marks[0]

    others = [heat_map({"c1": progress(s)}, {}, 10).marks[0] for s in CellStatus if s != status]
    assert mark.glyph not in [other.glyph for other in others]


@pytest.mark.parametrize("phase", [phase for phase in VisitPhase if phase is not VisitPhase.DONE])
def test_a_cell_under_way_is_marked_with_the_phase_of_its_visit(phase: VisitPhase) -> None:
    cells = {"c1": progress(CellStatus.VISITING), "c2": progress(CellStatus.DONE)}

    marks = heat_map(cells, {"c1": phase, "c2": phase}, 10).marks

    assert [mark.means for mark in marks] == [str(phase), "done"]


def test_a_visit_of_another_rollout_is_not_shown_as_ours() -> None:
    told = "\n".join(shown(look(rollout()), 100))
    theirs = rollout()
    theirs.cells["aws-c3"] = progress(CellStatus.VISITING, visit="of this rollout")

    assert "server               12s" in told
    assert "server               12s" not in "\n".join(shown(look(theirs), 100))


def baking(verdict: Verdict | None, message: str = "") -> RolloutView:
    view = rollout()
    view.rings[1].bake = Bake(4 * HOUR, NOW, NOW, credit=HOUR, verdict=verdict, message=message)
    return view


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (None, "1h of 4h  no evidence yet: canary aws-c0: no answer"),
        (Verdict.NO_DATA, "1h of 4h  no data: canary aws-c0: no answer"),
        (Verdict.FAIL, "1h of 4h  fail: canary aws-c0: no answer"),
        (Verdict.PASS, "1h of 4h  pass"),
    ],
)
def test_a_bake_says_what_was_seen_and_why_its_clock_stands(
    verdict: Verdict | None, says: str
) -> None:
    lines = shown(look(baking(verdict, "canary aws-c0: no answer")), 100)

    [bake] = [line for line in lines if "bake █" in line]
    assert bake.endswith(says)


@pytest.mark.parametrize(
    ("view", "says"),
    [
        (replace(rollout(), phase=Phase.HALTED), "what is under way comes to its end first"),
        (replace(rollout(), phase=Phase.HALTED, cells={}), "It waits for a person: controlplane"),
        (replace(rollout(), paused_by="ann: lunch"), "Paused by ann: lunch. Go on with"),
        (replace(rollout(), blocked="no cell is ready"), "cannot go on by itself: no cell is rea"),
        (
            replace(rollout(), confounded={"aws-us-east-1": "3 cells vanished"}),
            "Nothing starts in aws-us-east-1: 3 cells vanished",
        ),
    ],
    ids=["halting", "halted", "paused", "blocked", "confounded"],
)
def test_what_keeps_it_from_going_on_is_said_at_the_top(view: RolloutView, says: str) -> None:
    top = shown(look(view), 120)[:6]

    assert any(says in line for line in top)


def test_a_rollout_that_has_ended_waits_for_nobody() -> None:
    told = "\n".join(shown(look(ended(Outcome.FAILED, "aws-c5 is broken")), 100))

    assert "server 1.32.0: failed" in told
    assert "took 3h: quarterly upgrade" in told
    assert "aws-c5 is broken" in told
    assert "Through in" not in told


def test_text_of_others_is_shown_as_it_is() -> None:
    odd = Event(13, NOW - timedelta(seconds=1), "halted", "[bold]no[/] markup [/]")
    view = replace(rollout(), message="[red]neither[/]", events=(odd,))

    told = "\n".join(shown(look(view), 100))

    assert "[red]neither[/]" in told
    assert "halted: [bold]no[/] markup [/]" in told


@pytest.mark.parametrize(
    ("closed", "told"),
    [
        ("", "Emergency declared by ann@acme.dev: cve; until 14:00, then the ordinary rules hold"),
        ("it was time", "Emergency declared by ann@acme.dev: cve; over: it was time"),
    ],
    ids=["open", "closed"],
)
def test_an_emergency_is_shown_with_who_declared_it_and_until_when(closed: str, told: str) -> None:
    emergency = Emergency("ann@acme.dev", "cve", NOW, NOW + 2 * HOUR, closed)

    assert told in shown(look(replace(rollout(), emergency=emergency)), 120)


def test_cells_that_were_changed_by_hand_are_shown_with_how() -> None:
    drifted = replace(rollout(), drifted={"aws-c9": "it runs server 1.30.9"})

    assert "aws-c9 was changed by hand: it runs server 1.30.9" in shown(look(drifted), 120)


def test_a_bake_tells_what_it_was_given_as_a_patch() -> None:
    given = rollout()
    bake = given.rings[1].bake
    assert bake is not None
    given.rings[1].bake = replace(bake, inherited=HOUR)

    assert any("(1h as a patch)" in line for line in shown(look(given), 120))
