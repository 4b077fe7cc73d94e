import asyncio
import json
import os
import pty
from pathlib import Path

from provisioning.types import Step, StepState
from tests.api.running import Tenant
from tests.cli.command import Cli, running
from tests.cli.entity import entity, step
from tests.store.views import CELL, REGION

SELECTED = step(Step.SELECT_CELL)
PROVEN = step(Step.PROVE)


def creation(client_ca: Path, *more: str) -> tuple[object, ...]:
    return ("namespace", "create", "orders", "--region", REGION, "--ca-file", client_ca, *more)


async def test_creating_shows_each_step_and_ends_with_the_namespace(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    async with running(cli, *creation(client_ca)) as command:
        orders = await entity(tenant)
        await orders.works_on(SELECTED, step(Step.PROVE, StepState.RUNNING))
        await orders.succeeds(SELECTED, PROVEN)
    result = command.result()

    assert result.exit_code == 0, result.stderr
    assert f"Creating namespace {orders.id}" in result.stderr
    assert "✓ Select a cell" in result.stderr
    assert "✓ Prove the endpoint from outside" in result.stderr
    assert f"controlplane namespace connect {orders.id}" in result.stderr
    assert "State              ACTIVE" in result.stdout
    assert f"{orders.id}.fleet.test:7002" in result.stdout


async def test_json_on_stdout_is_the_whole_result_and_nothing_else(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    async with running(cli, *creation(client_ca, "-o", "json")) as command:
        orders = await entity(tenant)
        await orders.succeeds(SELECTED, PROVEN)
    result = command.result()

    answer = json.loads(result.stdout)
    assert answer["namespace"] == orders.id
    assert answer["asyncOperation"]["state"] == "STATE_FULFILLED"
    assert "✓ Select a cell" in result.stderr


async def test_a_terminal_is_shown_what_is_going_on_right_now(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    screen, terminal = pty.openpty()
    async with cli.started(*creation(client_ca), stderr=terminal) as command:
        os.close(terminal)
        orders = await entity(tenant)
        await orders.works_on(SELECTED, step(Step.REGISTER, StepState.RUNNING, "cell is slow"))
        shown = await asyncio.to_thread(read_until, screen, "cell is slow")
        await orders.succeeds(SELECTED, PROVEN)
        shown += await asyncio.to_thread(read_until, screen, "Done in")
        result = await command.finished()
    os.close(screen)

    assert result.exit_code == 0
    assert "Register the namespace" in shown
    assert "\x1b[" in shown


def read_until(file: int, text: str) -> str:
    shown = ""
    while text not in shown:
        shown += os.read(file, 4096).decode(errors="replace")
    return shown


async def test_a_failed_creation_says_why_and_exits_with_1(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    reason = "Prove: the canary did not complete. Everything was undone: mend the cause"
    async with running(cli, *creation(client_ca)) as command:
        orders = await entity(tenant)
        await orders.fails(reason, step(Step.SELECT_CELL, StepState.UNDONE))
    result = command.result()

    assert result.exit_code == 1
    assert f"Error: creating namespace {orders.id} ended FAILED" in result.stderr
    assert reason in result.stderr
    assert "↩ Release the cell" in result.stderr
    assert result.stdout == ""


async def test_without_waiting_the_id_is_all_there_is(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    result = await cli.run(*creation(client_ca, "--no-wait", "--operation-id", "op-7"))

    assert (result.exit_code, result.stdout) == (0, f"orders.{tenant.account}\n")
    assert "controlplane operation watch op-7" in result.stderr


async def test_ctrl_c_stops_watching_and_says_how_to_go_on_with_it(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    async with cli.started(*creation(client_ca, "--operation-id", "op-8")) as command:
        orders = await entity(tenant)
        await orders.works_on(step(Step.SELECT_CELL, StepState.RUNNING, "seen"))
        await command.said("seen")
        command.interrupt()
        interrupted = await command.finished()
    assert interrupted.exit_code == 130
    assert "The operation goes on. Watch it with: controlplane operation watch op-8" in (
        interrupted.stderr
    )
    assert "Traceback" not in interrupted.stderr

    await orders.succeeds(SELECTED, PROVEN)
    watched = await cli.run("operation", "watch", "op-8")

    assert watched.exit_code == 0, watched.stderr
    assert "✓ Prove the endpoint from outside" in watched.stderr


async def test_patience_ends_before_the_operation_does(cli: Cli, client_ca: Path) -> None:
    result = await cli.run(*creation(client_ca, "--timeout", "1", "--operation-id", "op-9"))

    assert result.exit_code == 1
    assert "not done after 1 s, and going on" in result.stderr
    assert "controlplane operation watch op-9" in result.stderr


async def test_a_repeated_operation_id_asks_once(cli: Cli, tenant: Tenant, client_ca: Path) -> None:
    arguments = creation(client_ca, "--no-wait", "--operation-id", f"op-{tenant.account}")

    results = [await cli.run(*arguments), await cli.run(*arguments)]

    assert [result.exit_code for result in results] == [0, 0]
    assert tenant.api.writer.asked.count(f"op-{tenant.account}") == 1


async def test_a_request_without_an_answer_can_be_repeated_under_its_id(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    arguments = creation(client_ca, "--no-wait", "--operation-id", "op-lost")
    tenant.api.writer.reply_lost = True
    try:
        lost = await cli.run(*arguments)
    finally:
        tenant.api.writer.reply_lost = False

    assert lost.exit_code == 1
    assert "whether the request was accepted is not known" in lost.stderr
    assert "Repeat it with --operation-id op-lost" in lost.stderr
    assert (await cli.run(*arguments)).stdout == f"orders.{tenant.account}\n"


async def test_a_name_that_is_taken_is_refused(cli: Cli, tenant: Tenant, client_ca: Path) -> None:
    await tenant.create("orders")

    result = await cli.run(*creation(client_ca))

    assert result.exit_code == 1
    assert f"namespace orders.{tenant.account} exists already" in result.stderr


async def test_what_the_api_finds_wrong_is_said_in_its_words(cli: Cli, client_ca: Path) -> None:
    result = await cli.run(*creation(client_ca, "--region", "aws-mars-1"))

    assert result.exit_code == 1
    assert "aws-mars-1" in result.stderr
    assert REGION in result.stderr


async def test_a_command_line_that_makes_no_sense_sends_nothing(
    cli: Cli, tenant: Tenant, client_ca: Path
) -> None:
    before = list(tenant.api.writer.asked)

    result = await cli.run(*creation(client_ca, "--search-attribute", "Customer=STRING"))

    assert result.exit_code == 2
    assert "'Customer=STRING'" in result.stderr
    assert tenant.api.writer.asked == before


async def test_the_list_shows_the_accounts_namespaces(cli: Cli, tenant: Tenant) -> None:
    for name in ("orders", "billing"):
        await tenant.create(name)

    people = await cli.run("namespace", "list")
    programs = await cli.run("namespace", "list", "-o", "json")

    assert people.stdout.index(f"billing.{tenant.account}") < people.stdout.index(
        f"orders.{tenant.account}"
    )
    assert "ACTIVATING" in people.stdout
    assert [
        namespace["spec"]["name"] for namespace in json.loads(programs.stdout)["namespaces"]
    ] == [
        "billing",
        "orders",
    ]


async def test_an_empty_list_is_empty_on_stdout(cli: Cli) -> None:
    people = await cli.run("namespace", "list")
    programs = await cli.run("namespace", "list", "-o", "json")

    assert people.stdout == ""
    assert "There are no namespaces" in people.stderr
    assert json.loads(programs.stdout)["namespaces"] == []


async def test_a_namespace_goes_by_its_short_name_and_by_its_id(cli: Cli, tenant: Tenant) -> None:
    namespace = await tenant.create("orders")

    short = await cli.run("namespace", "get", "orders", "-o", "json")
    full = await cli.run("namespace", "get", namespace, "-o", "json")

    assert json.loads(short.stdout)["namespace"] == namespace
    assert full.stdout == short.stdout


async def test_an_unknown_namespace_is_named(cli: Cli) -> None:
    short = await cli.run("namespace", "get", "nowhere")
    full = await cli.run("namespace", "get", "nowhere.acme1")

    assert (short.exit_code, full.exit_code) == (1, 1)
    assert "there is no namespace nowhere" in short.stderr
    assert "nowhere.acme1" in full.stderr


async def test_deleting_unasked_needs_a_yes(cli: Cli, tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    await tenant.api.settle(namespace)

    refused = await cli.run("namespace", "delete", "orders")

    assert refused.exit_code == 2
    assert "confirm it with --yes" in refused.stderr
    assert len(tenant.api.writer.namespaces[namespace].operations) == 1


async def test_deleting_ends_when_nothing_is_left(cli: Cli, tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    await tenant.api.settle(namespace)

    async with running(cli, "namespace", "delete", "orders", "--yes", "-o", "json") as command:
        await entity(tenant, asked=2)
        await tenant.api.settle(namespace)
    result = command.result()

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["asyncOperation"]["operationType"] == "DeleteNamespace"


async def test_explain_gives_a_reason_for_every_cell(cli: Cli, tenant: Tenant) -> None:
    await tenant.create("orders")
    await (await entity(tenant)).succeeds(SELECTED, PROVEN)

    people = await cli.run("namespace", "explain", "orders")
    programs = await cli.run("namespace", "explain", "orders", "-o", "json")

    rows = {line.split()[0]: line for line in people.stdout.splitlines() if line.strip()}
    assert f"asked for {REGION} and is in {CELL}" in people.stdout
    assert "chosen" in rows[CELL]
    assert "fits, less well" in rows["aws-us-east-1-c2"]
    assert "ring 0 holds synthetic load only; not validated yet" in rows["synthetic-c0"]
    assert "True" in rows["Ready"]
    assert json.loads(programs.stdout)["placement"]["cell"] == CELL


async def test_connect_prints_what_a_shell_can_eval(cli: Cli, tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    await tenant.api.settle(namespace)

    result = await cli.run("namespace", "connect", "orders", "-o", "env")

    assert result.exit_code == 0, result.stderr
    assert f"export TEMPORAL_NAMESPACE={namespace}\n" in result.stdout
    assert "export TEMPORAL_ADDRESS=127.0.0.1:7002\n" in result.stdout
    assert f"export TEMPORAL_TLS_SERVER_NAME={namespace}.fleet.test\n" in result.stdout
    assert "export TEMPORAL_TLS_SERVER_CA_CERT_PATH=" in result.stdout


async def test_connect_wants_a_namespace_that_is_there_already(cli: Cli, tenant: Tenant) -> None:
    await tenant.create("orders")

    result = await cli.run("namespace", "connect", "orders")

    assert result.exit_code == 1
    assert "no endpoint yet" in result.stderr
