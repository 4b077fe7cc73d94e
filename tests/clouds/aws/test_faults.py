"""Everything that can go wrong with every call of the adapter, one at a time.

What passes by itself, passes: there is one of everything then, and nothing of anybody else's. What
does not is refused, with what to do. Which calls there are is found out by making them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from cells.life.types import Blueprint
from cells.providers.aws.cloud import AwsCloud
from cells.providers.aws.settings import AwsSettings
from cells.providers.types import Account
from controlplane.aws.identity import TRIES
from controlplane.errors import ErrorType
from tests.clouds.aws.cells import PAUSE, blueprint, cloud_of, foundation
from tests.clouds.aws.faults import Fault, Kind
from tests.clouds.aws.running import RunningAws

AT_ONCE = 3
"""Scenarios, each with a session of its own."""
TRIES_OF_ACTIVITIES = 8
FOR_EVER = 1_000
IMPATIENT = timedelta(seconds=0.2)
TAKING_A_ROLE = "sts:AssumeRole"
CHANGING = (
    "account:EnableRegion",
    "organizations:CloseAccount",
    "organizations:CreateAccount",
    "organizations:MoveAccount",
)
LOOKING_AROUND = ("obstacles", "leftovers")
"""They ask for much and change nothing: what passes may happen to all of it at once."""


@dataclass(frozen=True)
class World:
    """What the calls are made on, and what is to be so afterwards."""

    aws: RunningAws
    settings: AwsSettings
    account: Account
    """Of a cell that is there, with a cluster and a database."""


Prepare = Callable[[World, AwsCloud, str], Awaitable[tuple[Blueprint, Account]]]
Ask = Callable[[AwsCloud, Blueprint, Account], Awaitable[object]]
Check = Callable[[World, Blueprint, object], None]


@dataclass(frozen=True)
class Call:
    """A method of the adapter."""

    prepare: Prepare
    ask: Ask
    check: Check


async def _of_a_new_cell(world: World, _cloud: AwsCloud, uid: str) -> tuple[Blueprint, Account]:
    return blueprint(uid, "aws-me-south-1"), world.account


async def _of_the_cell(world: World, _cloud: AwsCloud, _uid: str) -> tuple[Blueprint, Account]:
    return blueprint(), world.account


async def _of_a_cell_that_is_to_go(
    _world: World, cloud: AwsCloud, uid: str
) -> tuple[Blueprint, Account]:
    cell = blueprint(uid)
    return cell, await cloud.ensure_account(cell)


def _there_is_one_account(world: World, cell: Blueprint, result: object) -> None:
    organizations = world.aws.client("organizations")
    pages = organizations.get_paginator("list_accounts").paginate()
    email = world.settings.email(cell.uid)
    ids = [one["Id"] for page in pages for one in page["Accounts"] if one["Email"] == email]
    assert isinstance(result, Account)
    assert ids == [result.id]
    (parent,) = organizations.list_parents(ChildId=result.id)["Parents"]
    assert parent["Id"] == world.settings.organizational_unit
    assert len(organizations.list_tags_for_resource(ResourceId=result.id)["Tags"]) == 2


def _it_is_being_closed(world: World, cell: Blueprint, _result: object) -> None:
    organizations = world.aws.client("organizations")
    email = world.settings.email(cell.uid)
    accounts = organizations.get_paginator("list_accounts").paginate()
    (state,) = [
        one["State"] for page in accounts for one in page["Accounts"] if one["Email"] == email
    ]
    assert state == "PENDING_CLOSURE"


def _nothing_was_found(_world: World, _cell: Blueprint, result: object) -> None:
    assert result == []


def _it_is_an_answer(_world: World, _cell: Blueprint, result: object) -> None:
    assert result


CALLS = {
    "obstacles": Call(
        _of_a_new_cell, lambda cloud, cell, _: cloud.obstacles(cell), _nothing_was_found
    ),
    "ensure_account": Call(
        _of_a_new_cell, lambda cloud, cell, _: cloud.ensure_account(cell), _there_is_one_account
    ),
    "find_account": Call(
        _of_the_cell, lambda cloud, cell, _: cloud.find_account(cell), _it_is_an_answer
    ),
    "close_account": Call(
        _of_a_cell_that_is_to_go,
        lambda cloud, cell, account: cloud.close_account(cell, account),
        _it_is_being_closed,
    ),
    "leftovers": Call(
        _of_the_cell,
        lambda cloud, cell, account: cloud.leftovers(
            replace(cell, region="aws-eu-west-1"), account
        ),
        _nothing_was_found,
    ),
    "environment": Call(
        _of_the_cell, lambda cloud, _, account: cloud.environment(account), _it_is_an_answer
    ),
    "cluster_access": Call(
        _of_the_cell,
        lambda cloud, _, account: cloud.cluster_access(foundation(account)),
        _it_is_an_answer,
    ),
    "database_login": Call(
        _of_the_cell,
        lambda cloud, _, account: cloud.database_login(foundation(account)),
        _it_is_an_answer,
    ),
}
FEWEST_OPERATIONS = {
    "obstacles": 10,
    "ensure_account": 12,
    "find_account": 2,
    "close_account": 3,
    "leftovers": 18,
    "environment": 1,
    "cluster_access": 2,
    "database_login": 2,
}
"""How many operations each is known to ask for: the matrix does not shrink unnoticed."""


@pytest.fixture
async def world(aws: RunningAws, settings: AwsSettings, cloud: AwsCloud) -> AsyncIterator[World]:
    account = await cloud.ensure_account(blueprint())
    await aws.has_cluster(account.id, "us-west-2", "cell-c1a2b3d4", "https://127.0.0.1", "CA")
    secrets = aws.client("secretsmanager", "us-west-2", account.id)
    login = json.dumps({"username": "postgres", "password": "first"})
    await asyncio.to_thread(secrets.create_secret, Name="login", SecretString=login)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4 * AT_ONCE) as threads:
        loop.set_default_executor(threads)
        yield World(aws, settings, account)
        loop.set_default_executor(ThreadPoolExecutor())


@pytest.mark.timeout(900)  # Hundreds of calls, of which many are to be tried again.
@pytest.mark.parametrize("name", CALLS)
async def test_a_call_that_goes_wrong_leaves_one_of_everything_or_says_what_to_do(
    world: World, cloud: AwsCloud, name: str
) -> None:
    call = CALLS[name]
    operations = await _operations_of(world, name, call)
    assert len(operations) >= FEWEST_OPERATIONS[name]
    scenarios = _scenarios(operations, all_at_once=name in LOOKING_AROUND)
    assert {(each, kind) for hit, kind in scenarios for each in hit} == {
        (each, kind)
        for each in operations
        for kind in Kind
        if each in CHANGING or kind is not Kind.QUOTA
    }
    waiting = iter(enumerate(scenarios))
    flaws: list[str] = []

    async def work(session: str) -> None:
        settings = replace(world.settings, session_name=session)
        lasting = AwsCloud(settings, PAUSE, IMPATIENT)
        for number, (hit, kind) in waiting:
            prepared = await call.prepare(world, cloud, f"u{number:07d}")
            # Roles are taken once, so that who is to meet a fault there is somebody new.
            asking = AwsCloud(settings, PAUSE, IMPATIENT) if TAKING_A_ROLE in hit else lasting
            told = f"{session}-terraform" if name == "environment" else session
            faults = [Fault(each, kind, _times(each, kind), session=told) for each in hit]
            flaw = await _flaw(world, call, asking, prepared, faults)
            if flaw:
                flaws.append(f"{name}, {', '.join(hit)}, {kind}: {flaw}")

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(work(f"session-{number}"))

    assert not flaws, "\n".join(flaws)


def _scenarios(operations: list[str], *, all_at_once: bool) -> list[tuple[tuple[str, ...], Kind]]:
    """Return what goes wrong together, and how. Who only looks exceeds no quota."""
    one_by_one: list[tuple[tuple[str, ...], Kind]] = [
        ((each,), kind)
        for each in operations
        for kind in Kind
        if each in CHANGING or kind is not Kind.QUOTA
    ]
    if not all_at_once:
        return one_by_one
    refused = [(hit, kind) for hit, kind in one_by_one if not kind.passes]
    return [(tuple(operations), kind) for kind in Kind if kind.passes] + refused


def _times(operation: str, kind: Kind) -> int:
    """Return how often it goes wrong: also so often that the library gives up, where that hurts."""
    if not kind.passes:
        return FOR_EVER
    return TRIES if operation in CHANGING and kind is not Kind.SLOW else 1


async def _operations_of(world: World, name: str, call: Call) -> list[str]:
    """Return which operations the call asks for, when all is well."""
    session = f"all-is-well-{name}"
    cloud = cloud_of(replace(world.settings, session_name=session))
    cell, account = await call.prepare(world, cloud_of(world.settings), "allwell1")
    call.check(world, cell, await call.ask(cloud, cell, account))
    told = f"{session}-terraform" if name == "environment" else session
    return sorted(await world.aws.calls(told))


async def _flaw(
    world: World,
    call: Call,
    cloud: AwsCloud,
    prepared: tuple[Blueprint, Account],
    faults: list[Fault],
) -> str:
    """Return what is wrong with how a call comes through faults; empty when nothing is."""
    cell, account = prepared
    fault = faults[0]
    await world.aws.break_(*faults)
    refused: BaseException | None = None
    result: object = None
    for _ in range(TRIES_OF_ACTIVITIES):
        try:
            result, refused = await call.ask(cloud, cell, account), None
        except ApplicationError as error:
            refused = error
            if error.non_retryable:
                break
        except (RuntimeError, ConnectionError, TimeoutError) as error:
            refused = error
        else:
            break
    fired = await world.aws.fired(fault.session)
    missing = [each.operation for each in faults if f"{each.operation} {each.kind}" not in fired]
    if missing:
        return f"it did not happen to {missing}"
    if fault.kind.passes:
        if refused is not None:
            return f"it did not pass: {refused}"
        try:
            call.check(world, cell, result)
        except AssertionError as error:
            return f"not what it should be: {error}"
        return ""
    if refused is None:  # The preflight tells it among what else stands against the cell.
        told = "\n".join(result) if isinstance(result, list) else ""
    else:
        told = str(refused)
        if not isinstance(refused, ApplicationError) or refused.type != ErrorType.REJECTED:
            return f"it is not refused: {refused!r}"
    wanted = "terraform/modules" if fault.kind is Kind.DENIED else "Service Quotas"
    asked = fault.operation.replace("HeadBucket", "ListBucket")
    return "" if wanted in told and asked in told else f"it is not told what to do: {told!r}"
