"""The service account of a cell's project that the control plane becomes there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from cells.life.types import Blueprint
from cells.providers.gcp.names import KEEPER, keeper_email, state_prefix
from cells.providers.gcp.policies import (
    POLICY_VERSION,
    Grant,
    Policy,
    change,
    granted,
    withdrawn,
)
from cells.providers.gcp.resource_manager import ResourceManager
from cells.providers.gcp.settings import GcpSettings
from controlplane.gcp.calls import Google
from controlplane.gcp.discovered import dns, iam, iamcredentials, storage
from controlplane.gcp.errors import Refused, Status
from controlplane.gcp.identity import LIFETIME, SCOPE, Identity, Minted, Token
from controlplane.gcp.waiting import until

ROLES: tuple[str, ...] = (
    "roles/cloudkms.admin",
    "roles/cloudsql.admin",
    "roles/compute.admin",
    "roles/container.admin",
    "roles/dns.admin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/logging.configWriter",
    "roles/monitoring.viewer",
    "roles/networkconnectivity.spokeAdmin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/secretmanager.admin",
    "roles/serviceusage.serviceUsageConsumer",
)
"""What Terraform and the control plane do in a cell's project, and nowhere else."""
BECOMING = "roles/iam.serviceAccountTokenCreator"
DELEGATING = "roles/dns.admin"
"""On the zone in which cells delegate their own: Cloud DNS has no narrower role, and no conditions
for record sets that cover their making."""
STATE_ROLE = "roles/storage.objectAdmin"
PATIENCE = timedelta(minutes=3)
"""How long a grant takes until it is heard of everywhere: a minute or two, Google says."""


@dataclass(frozen=True)
class Keepers:
    """Makes them, lets the control plane become them, and takes away what they could do."""

    google: Google
    resource_manager: ResourceManager
    settings: GcpSettings

    def become(self, email: str) -> Identity:
        """Return the identity, whose tokens last for an hour at most."""
        return Minted(f"serviceAccount:{email}", partial(self._mint, email))

    async def ensure(self, blueprint: Blueprint, project: str) -> str:
        """Return its e-mail, made, with its rights, and seen to be one that we can become."""
        email = keeper_email(project)
        if not await self._exists(email):
            await self._create(project)
        member = f"serviceAccount:{email}"
        await self._grant_project(project, [Grant(role, member) for role in ROLES])
        await self._grant_becoming(email)
        await self._change_state_policy(
            lambda policy: granted(policy, [_state_grant(self.settings, blueprint, member)])
        )
        if self.settings.dns_parent_zone:
            delegating = Grant(DELEGATING, member)
            await self._change_zone_policy(lambda policy: granted(policy, [delegating]))
        await until(
            partial(self._become_now, email),
            f"the grant of {BECOMING} on {email} to {self.settings.principal}",
            PATIENCE,
        )
        return email

    async def dismiss(self, project: str) -> None:
        """Take away what it may do outside of the project; all else goes with that."""
        member = f"serviceAccount:{keeper_email(project)}"
        if self.settings.dns_parent_zone:
            await self._change_zone_policy(lambda policy: withdrawn(policy, member))
        await self._change_state_policy(lambda policy: withdrawn(policy, member))

    async def _exists(self, email: str) -> bool:
        try:
            await self.google.ask(
                lambda: iam().projects().serviceAccounts().get(name=_resource(email))
            )
        except Refused as refused:
            if refused.status is Status.NOT_FOUND:
                return False
            raise
        return True

    async def _create(self, project: str) -> None:
        try:
            await self.google.ask(
                lambda: (
                    iam()
                    .projects()
                    .serviceAccounts()
                    .create(
                        name=f"projects/{project}",
                        body={
                            "accountId": KEEPER,
                            "serviceAccount": {"displayName": "The control plane"},
                        },
                    )
                )
            )
        except Refused as refused:
            if refused.status is not Status.ALREADY_EXISTS:
                raise

    async def _grant_project(self, project: str, grants: Sequence[Grant]) -> None:
        name = f"projects/{project}"
        await change(
            f"the policy of {name}",
            partial(self.resource_manager.policy, name),
            partial(self.resource_manager.set_policy, name),
            lambda policy: granted(policy, grants),
        )

    async def _grant_becoming(self, email: str) -> None:
        accounts = iam().projects().serviceAccounts
        resource = _resource(email)

        async def read() -> Policy:
            return dict(
                await self.google.ask(
                    lambda: accounts().getIamPolicy(
                        resource=resource, options_requestedPolicyVersion=POLICY_VERSION
                    )
                )
            )

        async def write(policy: Policy) -> None:
            await self.google.ask(
                lambda: accounts().setIamPolicy(
                    resource=resource, body={"policy": cast(Any, policy)}
                )
            )

        grant = Grant(BECOMING, self.settings.principal)
        await change(f"the policy of {email}", read, write, lambda policy: granted(policy, [grant]))

    async def _change_state_policy(self, edit: Callable[[Policy], Policy]) -> None:
        bucket = self.settings.state_bucket

        async def read() -> Policy:
            return dict(
                await self.google.ask(
                    lambda: (
                        storage()
                        .buckets()
                        .getIamPolicy(bucket=bucket, optionsRequestedPolicyVersion=POLICY_VERSION)
                    )
                )
            )

        async def write(policy: Policy) -> None:
            await self.google.ask(
                lambda: storage().buckets().setIamPolicy(bucket=bucket, body=cast(Any, policy))
            )

        await change(f"the policy of bucket {bucket}", read, write, edit)

    async def _change_zone_policy(self, edit: Callable[[Policy], Policy]) -> None:
        zone = self.settings.dns_parent_zone
        resource = f"projects/{self.settings.project}/managedZones/{zone}"

        async def read() -> Policy:
            options = {"options": {"requestedPolicyVersion": POLICY_VERSION}}
            return dict(
                await self.google.ask(
                    lambda: (
                        dns()
                        .managedZones()
                        .getIamPolicy(resource=resource, body=cast(Any, options))
                    )
                )
            )

        async def write(policy: Policy) -> None:
            await self.google.ask(
                lambda: (
                    dns()
                    .managedZones()
                    .setIamPolicy(resource=resource, body={"policy": cast(Any, policy)})
                )
            )

        await change(f"the policy of zone {zone}", read, write, edit)

    async def _become_now(self, email: str) -> Token | None:
        try:
            return await self._mint(email)
        except Refused as refused:
            # Until a new account, and a new grant, are heard of, Google denies both.
            if refused.status in (Status.PERMISSION_DENIED, Status.NOT_FOUND):
                return None
            raise

    async def _mint(self, email: str) -> Token:
        answer = await self.google.ask(
            lambda: (
                iamcredentials()
                .projects()
                .serviceAccounts()
                .generateAccessToken(
                    name=_resource(email),
                    body={"scope": [SCOPE], "lifetime": f"{LIFETIME.total_seconds():.0f}s"},
                )
            )
        )
        return Token(answer["accessToken"], datetime.fromisoformat(answer["expireTime"]))


def _resource(email: str) -> str:
    """Name the account wherever its project is."""
    return f"projects/-/serviceAccounts/{email}"


def _state_grant(settings: GcpSettings, blueprint: Blueprint, member: str) -> Grant:
    """Let the member at what Terraform keeps of this cell, and at nothing of another."""
    folder = f"{state_prefix(blueprint)}/"
    objects = f"projects/_/buckets/{settings.state_bucket}/objects/{folder}"
    return Grant(
        STATE_ROLE,
        member,
        title=f"state of {blueprint.uid}",
        expression=(
            f'resource.name.startsWith("{objects}") || '
            'api.getAttribute("storage.googleapis.com/objectListPrefix", "")'
            f'.startsWith("{folder}")'
        ),
    )
