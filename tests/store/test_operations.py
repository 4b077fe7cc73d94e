import asyncio
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.store.operations import Claim, Claims
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel
from tests.store.views import namespace_view, operation

CLAIM = Claim("acme1", "op-1", "CreateNamespace", "orders.acme1", b"request")
TAKEN_UP = namespace_view(operations=(operation(CLAIM.id),))


async def test_a_claim_is_seen_by_nobody(pool: Pool) -> None:
    assert await Claims(pool).claim(CLAIM) is None

    assert await ReadModel(pool).operation("acme1", "op-1") is None


async def test_a_claim_left_behind_is_taken_up_again_by_the_same_request(pool: Pool) -> None:
    await Claims(pool).claim(CLAIM)

    assert await Claims(pool).claim(CLAIM) is None


async def test_the_same_request_finds_the_operation_it_began(pool: Pool) -> None:
    await Claims(pool).claim(CLAIM)
    await Projections(pool).publish_namespace(TAKEN_UP)

    assert await Claims(pool).claim(CLAIM) == operation(CLAIM.id)


@pytest.mark.parametrize(
    "other",
    [
        replace(CLAIM, request=b"another request"),
        replace(CLAIM, kind="DeleteNamespace"),
        replace(CLAIM, namespace="bills.acme1"),
    ],
    ids=["request", "kind", "namespace"],
)
@pytest.mark.parametrize("taken_up", [True, False])
async def test_an_id_stands_for_one_request_only(pool: Pool, other: Claim, taken_up: bool) -> None:
    claims = Claims(pool)
    await claims.claim(CLAIM)
    if taken_up:
        await Projections(pool).publish_namespace(TAKEN_UP)

    with pytest.raises(ApplicationError, match="'op-1' already stands for another") as refusal:
        await claims.claim(other)
    assert refusal.value.type == ErrorType.ALREADY_EXISTS


async def test_accounts_choose_their_ids_independently(pool: Pool) -> None:
    await Claims(pool).claim(CLAIM)

    assert await Claims(pool).claim(replace(CLAIM, account="other1", request=b"x")) is None


async def test_duplicates_at_once_all_go_on(pool: Pool) -> None:
    outcomes = await asyncio.gather(*(Claims(pool).claim(CLAIM) for _ in range(8)))

    assert outcomes == [None] * 8


async def test_of_different_requests_at_once_one_gets_the_id(pool: Pool) -> None:
    contenders = [replace(CLAIM, request=b"request %d" % i) for i in range(8)]

    outcomes = await asyncio.gather(*map(Claims(pool).claim, contenders), return_exceptions=True)

    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ApplicationError) for outcome in outcomes) == 7


async def test_a_withdrawn_claim_frees_its_id(pool: Pool) -> None:
    claims = Claims(pool)
    await claims.claim(CLAIM)

    await claims.withdraw(CLAIM)

    assert await claims.claim(replace(CLAIM, request=b"corrected")) is None


async def test_an_operation_taken_up_cannot_be_withdrawn(pool: Pool) -> None:
    claims = Claims(pool)
    await claims.claim(CLAIM)
    await Projections(pool).publish_namespace(TAKEN_UP)

    await claims.withdraw(CLAIM)

    assert await claims.claim(CLAIM) == operation(CLAIM.id)


async def test_publishing_keeps_the_request_that_was_claimed(pool: Pool) -> None:
    await Claims(pool).claim(CLAIM)
    await Projections(pool).publish_namespace(TAKEN_UP)

    recorded = await ReadModel(pool).operation("acme1", "op-1")

    assert recorded is not None
    assert recorded.request == b"request"
    assert recorded.operation == operation(CLAIM.id)


async def test_a_view_of_one_namespace_does_not_touch_the_claim_of_another(pool: Pool) -> None:
    await Claims(pool).claim(replace(CLAIM, namespace="bills.acme1"))

    await Projections(pool).publish_namespace(TAKEN_UP)

    assert await ReadModel(pool).operation("acme1", "op-1") is None
