"""A running stand-in for AWS, and an organisation in it."""

import asyncio
import contextlib
import functools
import json
import os
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from cells.providers.aws.permissions import organization
from cells.providers.aws.settings import AwsSettings
from tests.clouds.aws.faults import STEERING, Fault

REGION = "us-east-1"
MANAGEMENT = "123456789012"
EXTERNAL_ID = "fleet-7"
STATE_BUCKET = "fleet-terraform-state"
START_SECONDS = 60
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The stand-in has none; httpx would read every authority there is for each client."""
_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class RunningAws:
    """Where it listens, and how it is steered."""

    url: str
    name_server: str
    """`ip:port` of the name server that knows the zones of Route 53."""

    def environment(self, **credentials: str) -> dict[str, str]:
        """Return the environment in which boto3 finds it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7FLEET00",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **credentials,
        }

    def client(self, service: str, region: str = REGION, account: str = MANAGEMENT) -> Any:
        """Return a client of somebody who may do everything in the account."""
        return _client(self.url, service, region, account)

    def acting_as(self, environment: Mapping[str, str]) -> Callable[[str], Any]:
        """Return what makes clients with the credentials of an environment."""
        session = boto3.session.Session(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment["AWS_SESSION_TOKEN"],
            region_name=environment["AWS_REGION"],
        )
        return lambda service: session.client(service, endpoint_url=self.url)  # type: ignore[call-overload]

    async def reset(self) -> None:
        """Forget everything."""
        await self._steer("reset")

    async def quiet(self) -> None:
        """Forget faults and calls."""
        await self._steer("quiet")

    async def break_(self, *faults: Fault) -> None:
        await self._steer("faults", [fault.wire() for fault in faults])

    async def fired(self, session: str | None = None) -> dict[str, int]:
        """Return how often faults happened, by `<operation> <kind>`: to everybody, or to one
        session, whose faults are over with that."""
        return dict(await self._steer("fired", session))

    async def calls(self, session: str | None = None) -> Counter[str]:
        """Return how often each operation was asked for: by everybody, or by one session."""
        return Counter(
            call["operation"]
            for call in await self._steer("calls")
            if session in (None, call["session"])
        )

    async def world(self, **facts: object) -> None:
        """Set facts of `honest_accounts.World`."""
        await self._steer("world", facts)

    async def has_cluster(
        self, account: str, region: str, name: str, endpoint: str, ca: str
    ) -> None:
        """Let there be an EKS cluster that answers at the endpoint."""
        told = {"account": account, "region": region, "name": name, "endpoint": endpoint, "ca": ca}
        await self._steer("cluster", told)

    async def enforce(self, *, permissions: bool = True) -> None:
        """Have IAM policies and signatures count, or not."""
        await self._steer("enforce", permissions)

    async def organization(self, **changes: Any) -> AwsSettings:
        """Make an organisation with a unit, a role for the control plane and a state bucket."""
        return await asyncio.to_thread(self._organization, changes)

    def _organization(self, changes: Mapping[str, Any]) -> AwsSettings:
        organizations = self.client("organizations")
        organizations.create_organization(FeatureSet="ALL")
        root = organizations.list_roots()["Roots"][0]["Id"]
        unit = organizations.create_organizational_unit(ParentId=root, Name="cells")
        trust = _statement(
            "sts:AssumeRole",
            Principal={"AWS": f"arn:aws:iam::{MANAGEMENT}:root"},
            Condition={"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        )
        iam = self.client("iam")
        role = iam.create_role(RoleName="controlplane", AssumeRolePolicyDocument=trust)["Role"]
        self.allow("controlplane", organization())
        s3 = self.client("s3")
        s3.create_bucket(Bucket=STATE_BUCKET)
        s3.put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": "Enabled"})
        settings: dict[str, Any] = {
            "organization_role": role["Arn"],
            "organizational_unit": unit["OrganizationalUnit"]["Id"],
            "email_pattern": "cells+{uid}@example.com",
            "state_bucket": STATE_BUCKET,
            "state_region": REGION,
            "external_id": EXTERNAL_ID,
        }
        return AwsSettings(**{**settings, **changes})

    def allow(self, role: str, actions: Sequence[str]) -> None:
        """Have the role's one policy allow exactly these actions."""
        policy = _statement(list(actions), Resource="*")
        self.client("iam").put_role_policy(
            RoleName=role, PolicyName="controlplane", PolicyDocument=policy
        )

    def user(self) -> dict[str, str]:
        """Make a user who may only take roles, and return their environment."""
        iam = self.client("iam")
        iam.create_user(UserName="process")
        policy = _statement("sts:AssumeRole", Resource="*")
        iam.put_user_policy(UserName="process", PolicyName="roles", PolicyDocument=policy)
        key = iam.create_access_key(UserName="process")["AccessKey"]
        return self.environment(
            AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"]
        )

    async def _steer(self, what: str, told: object = None) -> Any:
        async with httpx.AsyncClient(trust_env=False, timeout=60, verify=_NO_TLS) as client:
            answer = await client.post(f"{self.url}{STEERING}{what}", json=told)
            answer.raise_for_status()
        return answer.json()


@contextlib.asynccontextmanager
async def running_aws() -> AsyncIterator[RunningAws]:
    """Run a stand-in until the block ends."""
    environment = {name: value for name, value in os.environ.items() if not _of_aws(name)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.clouds.aws.server",
        cwd=_ROOT,
        env={**environment, "AWS_DEFAULT_REGION": REGION},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            told = json.loads(await process.stdout.readline())
        yield RunningAws(f"http://127.0.0.1:{told['port']}", f"127.0.0.1:{told['names']}")
    finally:
        process.terminate()
        await process.wait()


@functools.cache
def _client(url: str, service: str, region: str, account: str) -> Any:
    if account == MANAGEMENT:
        session = boto3.session.Session("AKIAIOSFODNN7ADMIN00", "secret")
    else:
        role = f"arn:aws:iam::{account}:role/controlplane-cell"
        sts = _client(url, "sts", REGION, MANAGEMENT)
        taken = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        session = boto3.session.Session(
            taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"]
        )
    return session.client(service, region_name=region, endpoint_url=url)  # type: ignore[call-overload]


@contextlib.asynccontextmanager
async def alone_in(aws: RunningAws) -> AsyncIterator[RunningAws]:
    """Have the stand-in know nothing, and this process's clients find it, until the block ends."""
    await aws.reset()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.environment().items():
            patch.setenv(name, value)
        yield aws


def _of_aws(name: str) -> bool:
    return name.startswith(("AWS_", "MOTO_"))


def _statement(action: str | list[str], **rest: object) -> str:
    statement = {"Effect": "Allow", "Action": action, **rest}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
