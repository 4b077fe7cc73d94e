"""Policy files, and `controlplane rollout policy`, which prints one to begin with."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controlplane.api.policy_types import PolicyOverrides
from controlplane.cli.command import example, group
from controlplane.cli.documents import called, read_documents
from controlplane.cli.failures import UsageError, readable_failures
from controlplane.cli.output import print_value
from controlplane.cli.rollout.policy_text import policy_text
from controlplane.cli.shapes import read_as
from rollout.evidence.queries import standard_gates
from rollout.policy import RolloutPolicy, check_policy

app = group()


class PolicyFormat(StrEnum):
    YAML = "yaml"
    JSON = "json"


@app.command(
    epilog=example(
        "controlplane rollout policy > policy.yaml",
        "controlplane rollout plan 1.32.0 --policy policy.yaml",
        "controlplane rollout policy --metrics > policy.yaml",
    )
)
def policy(
    file: Annotated[
        Path | None,
        typer.Option(
            "--policy", metavar="FILE", help="Print what this file comes to.", show_default=False
        ),
    ] = None,
    metrics: Annotated[
        bool,
        typer.Option(
            "--metrics",
            help="With gates over the servers' metrics: the workers need a Prometheus.",
        ),
    ] = False,
    output: Annotated[
        PolicyFormat, typer.Option("--output", "-o", help="A file to edit, or for programs.")
    ] = PolicyFormat.YAML,
) -> None:
    """Print the rules of a rollout, as a file to edit.

    Rings, batches, bakes, budgets, gates, and what each rule means. This asks nobody. A file need
    only hold what differs from the rules printed without --policy.
    """
    with readable_failures():
        rules = read_policy_file(file).policy()
        if metrics:
            rules = replace(rules, gates=standard_gates(prometheus=True))
    if output is PolicyFormat.JSON:
        print_value(rules)
    else:
        typer.echo(policy_text(rules), nl=False)


def read_policy_file(file: Path | None) -> PolicyOverrides:
    """Return what the file changes of the default rules; nothing, when there is no file.

    Raise UsageError, naming file, place, value and remedy, for rules that cannot be followed.
    """
    if file is None:
        return PolicyOverrides()
    source = called(file)
    documents = list(read_documents(file))
    if len(documents) != 1:
        raise UsageError(f"{source} holds {len(documents)} documents: a policy is one")
    overrides = read_as(PolicyOverrides, documents[0], source)
    _check(overrides.policy(), source)
    return overrides


def _check(rules: RolloutPolicy, source: str) -> None:
    try:
        check_policy(rules)
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from error
