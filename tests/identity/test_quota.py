import asyncio
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.identity.keys import ApiKeys
from controlplane.identity.limits import AccountLimitsReader, set_limits
from controlplane.identity.quota import Quota
from controlplane.store.operations import Claim, Claims
from controlplane.store.projections import Projections
from provisioning.types import NamespaceLife, OperationState
from tests.identity.people import Owner
from tests.store.views import namespace_view, operation


@pytest.fixture
async def quota(keys: ApiKeys, owner: Owner) -> Quota:
    """A quota of 3 namespaces and 3 operations at once."""
    await set_limits(keys.pool, owner.account, {"namespaces": 3, "operations_at_once": 3})
    return Quota(keys.pool, AccountLimitsReader(keys.pool))


async def ask(quota: Quota, account: str, name: str) -> bool:
    """Claim a creation and take its place; withdraw it if there is none, as the API does."""
    claim = Claim(account, f"op-{name}", "CreateNamespace", f"{name}.{account}", b"request")
    await Claims(quota.pool).claim(claim)
    try:
        await quota.check_namespace_count(account, claim.id, claim.namespace)
    except ApplicationError:
        await Claims(quota.pool).withdraw(claim)
        return False
    return True


async def test_as_many_namespaces_as_allowed_are_let_through_however_many_ask_at_once(
    quota: Quota, owner: Owner
) -> None:
    let_through = await asyncio.gather(
        *(ask(quota, owner.account, f"orders-{number}") for number in range(12))
    )

    assert sum(let_through) == 3


async def test_the_refusal_names_the_limit_and_is_no_invitation_to_try_again(
    quota: Quota, owner: Owner
) -> None:
    for name in ("a1", "b1", "c1"):
        await ask(quota, owner.account, name)

    with pytest.raises(ApplicationError, match=r"its limit is 3 \(namespaces\)") as refusal:
        await quota.check_namespace_count(owner.account, "op-d1", f"d1.{owner.account}")

    assert refusal.value.type == ErrorType.FAILED_PRECONDITION
    assert refusal.value.non_retryable


async def test_namespaces_that_exist_count_until_they_are_deleted(
    quota: Quota, owner: Owner
) -> None:
    views = [
        namespace_view(f"orders-{number}.{owner.account}", uid=f"uid-{number}")
        for number in range(3)
    ]
    for view in views:
        await Projections(quota.pool).publish_namespace(view)
    assert not await ask(quota, owner.account, "one-more")

    gone = replace(views[0], revision=views[0].revision + 1, life=NamespaceLife.DELETED)
    await Projections(quota.pool).publish_namespace(gone)

    assert await ask(quota, owner.account, "one-more")


async def test_a_creation_asked_for_again_keeps_its_place(quota: Quota, owner: Owner) -> None:
    for name in ("a1", "b1", "c1"):
        assert await ask(quota, owner.account, name)

    assert await ask(quota, owner.account, "c1")
    assert not await ask(quota, owner.account, "d1")


async def test_a_namespace_counts_once_while_its_creation_is_open(
    quota: Quota, owner: Owner
) -> None:
    assert await ask(quota, owner.account, "a1")
    view = namespace_view(f"a1.{owner.account}", operations=(operation("op-a1"),))
    await Projections(quota.pool).publish_namespace(view)

    assert await ask(quota, owner.account, "b1")
    assert await ask(quota, owner.account, "c1")
    assert not await ask(quota, owner.account, "d1")


async def test_the_place_of_a_call_that_died_is_free_after_a_while(
    quota: Quota, owner: Owner
) -> None:
    for name in ("a1", "b1", "c1"):
        assert await ask(quota, owner.account, name)
    async with quota.pool.connection() as connection:
        await connection.execute("UPDATE operations SET claimed_at = now() - interval '2 minutes'")

    assert await ask(quota, owner.account, "d1")


async def open_operations(quota: Quota, account: str, *ids: str) -> None:
    view = namespace_view(f"busy.{account}", operations=tuple(operation(each) for each in ids))
    await Projections(quota.pool).publish_namespace(view)


async def test_operations_beyond_the_limit_are_refused_with_a_time_to_come_back(
    quota: Quota, owner: Owner
) -> None:
    await open_operations(quota, owner.account, "op-1", "op-2")
    assert await quota.begins_operation(owner.account, "op-3", [])

    for recorded, in_flight in (("op-2", ["op-9"]), ("op-2", ["op-9", "op-8"])):
        with pytest.raises(ApplicationError, match="its limit is 3 at once") as refusal:
            await quota.begins_operation(owner.account, "op-3", in_flight)
        assert refusal.value.type == ErrorType.THROTTLED
        assert refusal.value.next_retry_delay
        assert not await quota.begins_operation(owner.account, recorded, in_flight)


async def test_an_operation_in_flight_that_is_recorded_already_counts_once(
    quota: Quota, owner: Owner
) -> None:
    await open_operations(quota, owner.account, "op-1", "op-2")

    assert await quota.begins_operation(owner.account, "op-3", ["op-1", "op-2"])


async def test_finished_operations_and_those_of_others_do_not_count(
    quota: Quota, owner: Owner
) -> None:
    done = tuple(
        operation(f"op-{state}", state=state)
        for state in (OperationState.FULFILLED, OperationState.FAILED, OperationState.CANCELLED)
    )
    await Projections(quota.pool).publish_namespace(
        namespace_view(f"busy.{owner.account}", operations=done)
    )
    await open_operations(quota, "other1", "op-1", "op-2", "op-3")

    assert await quota.begins_operation(owner.account, "op-1", [])


async def test_a_claim_counts_until_it_is_clear_that_its_call_died(
    quota: Quota, owner: Owner
) -> None:
    for number in range(3):
        claim = Claim(owner.account, f"op-{number}", "CreateNamespace", "a.b", b"request")
        await Claims(quota.pool).claim(claim)
    with pytest.raises(ApplicationError, match="3 operations open"):
        await quota.begins_operation(owner.account, "op-9", [])

    async with quota.pool.connection() as connection:
        await connection.execute("UPDATE operations SET claimed_at = now() - interval '2 minutes'")

    assert await quota.begins_operation(owner.account, "op-9", [])
