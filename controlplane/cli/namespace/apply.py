"""`controlplane namespace apply`: make namespaces what a file says, and nothing else."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.api.cloud.operation.v1 import AsyncOperation

from controlplane.cli.api import Api
from controlplane.cli.command import command, example, group
from controlplane.cli.failures import NothingToChange, UsageError
from controlplane.cli.following import conclude
from controlplane.cli.namespace.view import show_changes
from controlplane.cli.options import ApiOptions, WaitOptions, YesOption, confirm
from controlplane.cli.output import (
    Json,
    OutputFormat,
    OutputOption,
    print_json,
    results,
)
from controlplane.cli.spec.difference import Change, spec_changes, tag_changes
from controlplane.cli.spec.file import DeclaredNamespace, read_spec_file
from controlplane.cli.spec.plain import completed

DIFFERENT = 2
"""The exit code that says there are differences, of commands that are asked for it."""

app = group()


@dataclass(frozen=True)
class Plan:
    """What one document of the file comes to."""

    declared: DeclaredNamespace
    now: Namespace | None
    """None: there is no such namespace yet."""
    spec: list[Change]
    tags: list[Change]
    operations: list[AsyncOperation] = field(default_factory=list)
    """What was begun for it."""

    @property
    def changes(self) -> list[Change]:
        return [*self.spec, *self.tags]

    @property
    def action(self) -> str:
        if self.now is None:
            return "create"
        return "update" if self.changes else "none"

    @property
    def name(self) -> str:
        return self.declared.spec.name if self.now is None else self.now.namespace

    def as_json(self) -> Json:
        return {
            "namespace": self.name,
            "action": self.action,
            "changes": [dict(vars(change)) for change in self.changes],
            "operations": [operation.id for operation in self.operations],
        }


@app.command(
    epilog=example(
        "controlplane namespace get orders -o yaml > orders.yaml",
        "controlplane namespace apply -f orders.yaml",
        "controlplane namespace apply -f fleet.yaml --dry-run --exit-code",
    )
)
@command
async def apply(
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            "-f",
            help="Spec file, YAML or JSON, a document per namespace; - is standard input.",
            show_default=False,
        ),
    ],
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what differs, and change nothing.")
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code", help=f"With --dry-run: exit {DIFFERENT} when something differs."
        ),
    ] = False,
    *,
    wait: WaitOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create or update the namespaces of a file, showing first what changes.

    The file says all there is to a namespace's spec: what it leaves out is off or gone, as with
    UpdateNamespace. Tags are as they are unless it names some. Where nothing differs, nothing is
    done. Applied again after a failure, it does what is left.
    """
    if exit_code and not dry_run:
        raise UsageError("--exit-code reports differences without changing them: add --dry-run")
    declared = read_spec_file(file)
    async with api.connect() as opened:
        plans = [await _plan(opened, each) for each in declared]
        due = [plan for plan in plans if plan.action != "none"]
        if output is OutputFormat.TABLE:
            _show(plans)
        if due and not dry_run:
            confirm(f"Change {', '.join(plan.name for plan in due)}?", yes)
            for plan in due:
                await _carry_out(opened, plan, wait)
    if output is OutputFormat.JSON:
        print_json({"dry_run": dry_run, "namespaces": [plan.as_json() for plan in plans]})
    if exit_code and due:
        raise typer.Exit(DIFFERENT)


async def _plan(api: Api, declared: DeclaredNamespace) -> Plan:
    now = await api.find_namespace(declared.spec.name)
    if now is None:
        return Plan(
            declared, None, spec_changes(None, declared.spec), tag_changes({}, declared.tags or {})
        )
    tags = [] if declared.tags is None else tag_changes(now.tags, declared.tags)
    return Plan(declared, now, spec_changes(now.spec, declared.spec), tags)


def _show(plans: list[Plan]) -> None:
    for plan in plans:
        match plan.action:
            case "none":
                results().print(f"{plan.name}: nothing to change", markup=False)
            case "create":
                results().print(f"{plan.name}: to be created", markup=False)
                show_changes(plan.changes)
            case _:
                results().print(f"{plan.name}: to be updated", markup=False)
                show_changes(plan.changes)


async def _carry_out(api: Api, plan: Plan, wait: WaitOptions) -> None:
    declared, now = plan.declared, plan.now
    if now is None:
        created = await api.create_namespace(declared.spec, str(uuid4()), declared.tags)
        await _conclude(api, plan, created.async_operation, wait)
        return
    if plan.spec:
        # Two specs may differ for us, and mean the same to the API.
        with suppress(NothingToChange):
            spec = completed(declared.spec, now.spec)
            updated = await api.update_namespace(now, spec, str(uuid4()))
            await _conclude(api, plan, updated, wait)
    if plan.tags:
        wanted = declared.tags or {}
        upsert = {key: value for key, value in wanted.items() if now.tags.get(key) != value}
        tagged = await api.tag_namespace(
            now.namespace, upsert, sorted(now.tags.keys() - wanted.keys()), str(uuid4())
        )
        await _conclude(api, plan, tagged, wait)


async def _conclude(api: Api, plan: Plan, accepted: AsyncOperation, wait: WaitOptions) -> None:
    plan.operations.append(accepted)
    await conclude(api, accepted, wait)
