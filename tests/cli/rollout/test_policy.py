"""Policies as files: printed with what each rule means, edited, read with messages that help."""

import re
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from cells.visits.types import VisitRules
from controlplane.cli.failures import UsageError
from controlplane.cli.rollout.policy import read_policy_file
from controlplane.cli.rollout.policy_text import EXAMPLE, MEANINGS, policy_text
from rollout.evidence.queries import standard_gates
from rollout.gates import Gate, GateKind
from rollout.policy import (
    RingPolicy,
    RollbackScope,
    RolloutPolicy,
    Supersession,
    default_policy,
)

OWN = replace(
    default_policy(),
    rings=(
        RingPolicy(0, ("all",), timedelta(seconds=0.5), timedelta(hours=36), tolerance="1"),
        *default_policy().rings[1:],
    ),
    gates=(
        Gate("health", GateKind.HEALTH),
        Gate(
            "errors: client-visible",
            GateKind.PROMETHEUS,
            query='sum(rate(errors{cell="$cell"}[5m]))  # per second',
            below=0.5,
            rings=(1, 2),
        ),
    ),
    rollback=RollbackScope.RING,
    supersession=Supersession.SUPERSEDE,
    visit=VisitRules(settle=timedelta(0)),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


MEASURED = replace(default_policy(), gates=standard_gates(prometheus=True))


@pytest.mark.parametrize(
    "policy", [default_policy(), OWN, MEASURED], ids=["default", "own", "with metrics"]
)
def test_a_policy_that_is_printed_is_read_as_the_same(policy: RolloutPolicy, file: Path) -> None:
    file.write_text(policy_text(policy))

    assert read_policy_file(file).policy() == policy


@pytest.mark.parametrize("kind", [RolloutPolicy, RingPolicy, Gate, VisitRules])
def test_every_rule_is_explained_that_does_not_speak_for_itself(kind: type) -> None:
    rules = {field.name for field in fields(kind)}
    speaking_for_itself = {Gate: {"name"}, RingPolicy: {"ring"}}.get(kind, set())

    assert MEANINGS[kind].keys() == rules - speaking_for_itself


def test_a_printed_policy_says_what_every_rule_means_once() -> None:
    text = policy_text(default_policy())

    plain = " ".join(text.replace("#", " ").split())
    for meanings in MEANINGS.values():
        assert [plain.count(meaning) for meaning in meanings.values()] == [1] * len(meanings)
    assert max(map(len, text.splitlines())) <= 100


def test_the_gate_that_is_shown_as_an_example_can_be_used(file: Path) -> None:
    before, example = policy_text(default_policy()).split("  # For example:\n")
    gate = re.match(r"(?:  #.*\n)+", example)
    assert gate is not None
    file.write_text(before + re.sub(r"^  # ", "  ", gate[0], flags=re.MULTILINE))

    assert read_policy_file(file).policy().gates == (*default_policy().gates, EXAMPLE)


def test_a_file_need_only_hold_what_differs(file: Path) -> None:
    file.write_text("rings: [{ring: 1, tolerance: 2, batch_bake: 90m}]\nrollback: none\n")

    policy = read_policy_file(file).policy()

    default = default_policy()
    ring_1 = replace(default.rings[1], tolerance="2", batch_bake=timedelta(minutes=90))
    assert policy == replace(
        default,
        rings=(default.rings[0], ring_1, *default.rings[2:]),
        rollback=RollbackScope.NONE,
    )


def test_without_a_file_the_default_rules_hold() -> None:
    assert read_policy_file(None).policy() == default_policy()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rings: [{ring: 0, batch_bak: 1h}]", "rings[0].batch_bak means nothing. Did you mean ba"),
        ("rings: [{ring: 0, batch_bake: 1 hour}]", "rings[0].batch_bake: '1 hour' is no length"),
        ("rings: [{ring: 0, batches: 25%}]", "rings[0].batches is '25%': it should be a list"),
        ("rings: [{ring: 0, batches: [0]}]", "ring 0: batch is '0': write a number such as 2"),
        ("rings: [{ring: 1, tolerance: few}]", "ring 1: tolerance is 'few': write a number"),
        ("rings: [{batches: [1]}]", "rings[0].ring is missing"),
        ("rings: [{ring: one}]", "rings[0].ring is 'one': it should be a valid integer"),
        ("rollback: some", "rollback is 'some': it should be 'none', 'cell', 'batch', 'ring' or"),
        ("visit: 3m", "visit is '3m': write `key: value`, a line for each"),
        ("visit: {settle: soon}", "visit.settle: 'soon' is no length of time"),
        ("gates: [{name: a, kind: vibes}]", "gates[0].kind is 'vibes': it should be 'health', "),
        ("gates: [{name: a, kind: prometheus}]", "gate 'a' needs a query with"),
        ("gates: []", "a policy without gates never earns credit"),
        ("deferral_cap: 1.5", "deferral_cap is the number 1.5: put it in quotes"),
        ("rollback: none\nrollback: all", "'rollback' is written twice"),
        ("- rings", "this is a list: write `key: value`, a line for each"),
        ("", "holds 0 documents: a policy is one"),
        ("rollback: all\n---\nrollback: none", "holds 2 documents: a policy is one"),
    ],
)
def test_a_bad_rule_is_named_by_file_key_and_value(text: str, says: str, file: Path) -> None:
    file.write_text(text)

    with pytest.raises(UsageError) as refusal:
        read_policy_file(file)

    assert str(refusal.value).startswith(str(file))
    assert says in str(refusal.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*nowhere.yaml: No such file"):
        read_policy_file(tmp_path / "nowhere.yaml")


def test_a_printed_policy_is_yaml_for_others_too() -> None:
    document = yaml.safe_load(policy_text(default_policy()))

    assert [ring["ring"] for ring in document["rings"]] == [0, 1, 2, 3]
    assert document["visit"]["settle"] == "10m"
