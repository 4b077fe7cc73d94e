"""A policy as a file that people edit: every rule, with what it means."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import yaml

from cells.visits.types import VisitRules
from controlplane.cli.durations import duration_text
from rollout.gates import Gate, GateKind
from rollout.policy import RingPolicy, RolloutPolicy

MEANINGS: dict[type, dict[str, str]] = {
    RolloutPolicy: {
        "rings": "In ascending order. A ring that is not named takes the rules of the one before.",
        "gates": "What has to be seen of a cell for its bake to count.",
        "rollback": "What goes back by itself once it has halted: none, cell, batch, ring, all.",
        "supersession": "When another rollout writes the same component: queue behind it, "
        "supersede it at a safe point, or reject.",
        "deferral_cap": "More cells of a ring than this, sick before their turn, block the ring.",
        "deferral_patience": "How long the end waits for sick cells, which then stay behind.",
        "confounded_cells": "As many cells of a region that vanish at once are the region's "
        "trouble, not the release's: nothing starts there until they are back.",
        "visit": "How patient the visit of one cell is.",
        "visit_takes": "How long a visit is expected to take (p95), until some have been seen.",
        "bake_at_most": "A bake that lasts longer than this, by the clock, waits for a person.",
        "alert_without_data_after": "When to call people because gates have no data.",
        "replication_lag_below": "What a passive replica may lag before its active side is "
        "disturbed.",
        "emergency_for": "How long --emergency holds; then the ordinary rules do.",
        "drift": "What becomes of a cell that somebody changed by hand: hold (it is let alone), "
        "report (it goes on as if that had been meant) or repair (the release comes again).",
    },
    RingPolicy: {
        "batches": "Sizes in order: 3, 25% (of the ring, rounded down, at least 1) or all. The "
        "last one repeats. The first batch of a ring is one cell, whatever is written here.",
        "batch_bake": "Time on good evidence after each batch but the last.",
        "ring_bake": "Time on good evidence after the last batch, before the next ring.",
        "tolerance": "How many cells may fail, 2 or 5%. One more halts the rollout.",
        "approvals": "How many people have to agree before the ring begins.",
        "most_per_region": "At most so many cells of a region at once; 0 for no limit.",
        "most_per_provider": "The same for a provider.",
        "emergency_bake": "Takes the place of both bakes with --emergency.",
        "patch_credit": "Of ring_bake, what a patch is given at most for what the release that it "
        "corrects has baked in this ring; 50% at most.",
    },
    Gate: {
        "kind": "health, canary, prometheus, comparison (with cells not yet changed) or "
        "replication lag.",
        "query": "PromQL that gives one number; $cell stands for the cell's id, in quotes.",
        "below": "Passes below this.",
        "above": "Passes above this.",
        "minimum_samples": "Fewer are no data.",
        "fresh_within": "A newest sample older than this is no data.",
        "rings": "Where it applies; everywhere, unless said.",
        "tolerance": "How much worse, as a share, a comparison lets changed cells be.",
        "floor": "For a comparison: smaller values are as good as this one.",
    },
    VisitRules: {
        "settle": "Between two minor versions on the way of one cell.",
        "verify_for": "How long a cell has to stay healthy, canaries included, to count as done.",
        "healthy_within": "How long it may take to become healthy before it is undone.",
    },
}
"""What a rule means, by its key; keys that speak for themselves have none."""

EXAMPLE = Gate(
    "errors",
    GateKind.PROMETHEUS,
    query='sum(rate(service_errors{cell="$cell"}[5m]))',
    below=0.5,
    above=-1.0,
    minimum_samples=20,
    fresh_within=timedelta(minutes=5),
    rings=(1, 2, 3),
    tolerance=0.1,
    floor=0.01,
)
"""A gate that differs from an ordinary one in all that there is to say of it."""

_WIDTH = 96
_HEADER = (
    "Rules of a rollout: controlplane rollout start RELEASE --policy FILE",
    "A file need only hold what differs from the default rules.",
)


def policy_text(policy: RolloutPolicy) -> str:
    """Return the policy as commented YAML that `read_policy_file` reads."""
    body = _object(policy, "", set())
    return "\n".join([*(f"# {line}" for line in _HEADER), "", *body, ""])


def _object(thing: Any, indent: str, explained: set[tuple[type, str]]) -> Iterator[str]:
    """Yield the lines of a dataclass; `explained` are the rules whose meaning was told."""
    meanings = MEANINGS[type(thing)]
    for field in fields(thing):
        value, rule = getattr(thing, field.name), (type(thing), field.name)
        if isinstance(thing, Gate) and value == field.default:
            continue
        if field.name in meanings and rule not in explained:
            explained.add(rule)
            yield from _comment(meanings[field.name], indent)
        if is_dataclass(value):
            yield f"{indent}{field.name}:"
            yield from _object(value, f"{indent}  ", explained)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            yield f"{indent}{field.name}:"
            for each in value:
                # A comment before the first key would come before the dash.
                first, *rest = _object(each, f"{indent}    ", explained)
                yield f"{indent}  - {first.lstrip()}"
                yield from rest
            if isinstance(value[0], Gate):
                yield from _example(f"{indent}  ", explained)
        else:
            yield f"{indent}{field.name}: {_scalar(value)}"


def _example(indent: str, explained: set[tuple[type, str]]) -> Iterator[str]:
    first, *rest = _object(EXAMPLE, "  ", explained)
    yield f"{indent}# For example:"
    yield f"{indent}# - {first.lstrip()}"
    yield from (f"{indent}# {line}" for line in rest)


def _comment(meaning: str, indent: str) -> Iterator[str]:
    line = f"{indent}#"
    for word in meaning.split():
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = f"{indent}#"
        line = f"{line} {word}"
    yield line


def _scalar(value: object) -> str:
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_scalar(each) for each in value)}]"
    plain = str(value) if isinstance(value, StrEnum) else value
    # An amount such as 25% is text without quotes; 3 is read as text, too.
    if isinstance(plain, str) and plain.isdecimal():
        return plain
    return yaml.safe_dump(plain, width=10_000).removesuffix("\n...\n").rstrip("\n")
