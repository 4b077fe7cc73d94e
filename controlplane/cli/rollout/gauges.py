"""How much is left of a budget, how much of a bake is credited: as bars."""

import re

from rich.text import Text

from controlplane.cli.durations import rough
from rollout.bake import Bake
from rollout.gates import Verdict

_BAR = 24
_MOST_MARKS = 10
_BUDGET = re.compile(r"(\d+) of (\d+) left")
_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.CONFOUNDED: "bold yellow",
    Verdict.NO_DATA: "yellow",
}


def bake_line(bake: Bake, what: str = "bake") -> Text:
    """Return how much of a bake is credited, as a bar, with the latest verdict."""
    share = 1.0 if not bake.needed else min(bake.credit / bake.needed, 1.0)
    filled = int(share * _BAR)
    verdict = "no evidence yet" if bake.verdict is None else str(bake.verdict)
    style = "dim" if bake.verdict is None else _STYLES[bake.verdict]
    line = Text().append(f"{what} ", "dim")
    line.append("█" * filled, "green" if style == "green" else "yellow")
    line.append("░" * (_BAR - filled), "dim")
    line.append(f" {rough(bake.credit)} of {rough(bake.needed)}  ")
    if bake.inherited:
        line.append(f"({rough(bake.inherited)} as a patch)  ", "dim")
    line.append(verdict, style)
    if bake.message and bake.verdict is not Verdict.PASS:
        line.append(f": {bake.message}")
    return line


def budget_gauge(budget: str) -> Text:
    """Return what is left of a ring's tolerance: a mark for each failure that may still be."""
    found = _BUDGET.search(budget)
    gauge = Text()
    if found is not None and 0 < int(found[2]) <= _MOST_MARKS:
        left, whole = int(found[1]), int(found[2])
        gauge.append("▮" * left, "green").append("▯" * (whole - left), "red").append(" ")
    return gauge.append(budget)
