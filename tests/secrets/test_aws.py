"""Secrets in Secrets Manager: what is kept for us, what goes wrong, and who shares the account."""

import json
from collections.abc import AsyncIterator

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.aws.identity import Identity
from controlplane.errors import ErrorType
from controlplane.secrets.aws import MOST_BYTES, AwsSecretStore
from tests.clouds.aws.faults import Fault, Kind
from tests.clouds.aws.running import REGION, RunningAws, alone_in

NAME = "cells/aws-us-east-1-c1/database"
WRITES = ("secretsmanager:PutSecretValue", "secretsmanager:CreateSecret")


@pytest.fixture
async def store(aws: RunningAws) -> AsyncIterator[AwsSecretStore]:
    async with alone_in(aws):
        yield AwsSecretStore(Identity.own(REGION), "fleet/controlplane")


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.RESET, Kind.ERROR, Kind.THROTTLE])
async def test_a_secret_is_put_once_whatever_becomes_of_the_replies(
    aws: RunningAws, store: AwsSecretStore, kind: Kind
) -> None:
    await aws.break_(
        *(Fault(operation, kind) for operation in (*WRITES, "secretsmanager:GetSecretValue")),
        *(Fault(f"secretsmanager:{one}", kind) for one in ("DeleteSecret", "ListSecrets")),
    )

    await store.put(NAME, b"first")

    assert await store.get(NAME) == b"first"
    assert await store.names("cells/") == [NAME]
    await store.delete(NAME)
    assert await store.get(NAME) is None
    assert len(await aws.fired()) == 5


async def test_a_secret_that_somebody_began_to_delete_is_none_and_can_be_put_again(
    aws: RunningAws, store: AwsSecretStore
) -> None:
    await store.put(NAME, b"first")
    aws.client("secretsmanager").delete_secret(
        SecretId=f"fleet/controlplane/{NAME}", RecoveryWindowInDays=7
    )
    assert await store.get(NAME) is None

    await store.put(NAME, b"second")

    assert await store.get(NAME) == b"second"


@pytest.mark.usefixtures("store")
async def test_the_key_that_encrypts_is_the_one_that_was_named(aws: RunningAws) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]

    await AwsSecretStore(Identity.own(REGION), "fleet", key).put(NAME, b"value")

    described = aws.client("secretsmanager").describe_secret(SecretId=f"fleet/{NAME}")
    assert described["KmsKeyId"] == key


async def test_other_prefixes_are_other_stores(aws: RunningAws, store: AwsSecretStore) -> None:
    other = AwsSecretStore(Identity.own(REGION), "fleet/controlplane-2")
    await other.put(NAME, b"theirs")
    aws.client("secretsmanager").create_secret(Name="fleet/other", SecretString="x")

    assert await store.names("") == []
    assert await store.get(NAME) is None


async def test_what_others_wrote_under_our_prefix_is_not_taken_for_ours(
    aws: RunningAws, store: AwsSecretStore
) -> None:
    secret = json.dumps({"password": "theirs"})
    aws.client("secretsmanager").create_secret(
        Name=f"fleet/controlplane/{NAME}", SecretString=secret
    )

    with pytest.raises(RuntimeError, match="not written by this control plane") as error:
        await store.get(NAME)

    assert "theirs" not in str(error.value)


async def test_who_may_not_read_a_secret_is_told_so_without_its_value(
    aws: RunningAws, store: AwsSecretStore
) -> None:
    await aws.break_(Fault("secretsmanager:PutSecretValue", Kind.DENIED))

    with pytest.raises(ApplicationError, match="do secretsmanager:PutSecretValue") as refused:
        await store.put(NAME, b"hunter2")

    assert refused.value.type == ErrorType.REJECTED
    assert "hunter2" not in repr(refused.value.__cause__)


async def test_values_and_names_that_do_not_fit_are_refused_before_they_are_sent(
    aws: RunningAws, store: AwsSecretStore
) -> None:
    with pytest.raises(ValueError, match=f"has {MOST_BYTES + 1} bytes"):
        await store.put(NAME, b"x" * (MOST_BYTES + 1))
    with pytest.raises(ValueError, match="too long"):
        await store.put("x" * 600, b"")
    with pytest.raises(ValueError, match="is not a prefix"):
        AwsSecretStore(Identity.own(REGION), "/fleet")

    assert not await aws.calls()
