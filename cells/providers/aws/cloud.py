"""AWS, for one cell at a time: adapter of `cells.providers.ports.Cloud`."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from cells.life.types import Blueprint
from cells.providers.aws import cluster, regions, sweep, terraform
from cells.providers.aws.accounts import Accounts
from cells.providers.aws.preflight import Preflight
from cells.providers.aws.settings import AwsSettings
from cells.providers.ports import Variable
from cells.providers.types import Account, ClusterAccess, DatabaseLogin, Foundation
from controlplane.aws.errors import code_of
from controlplane.aws.identity import Identity, Role
from controlplane.errors import ErrorType, rejected

DEFAULT_PAUSE = timedelta(seconds=5)
"""Between two looks at what takes AWS a while."""
DEFAULT_ADMISSION = timedelta(minutes=2)
"""How long the role of an account that was just made may still be unknown to AWS."""


class AwsCloud:
    """An AWS organisation, seen by somebody who may become its `organization_role`."""

    def __init__(
        self,
        settings: AwsSettings,
        pause: timedelta = DEFAULT_PAUSE,
        admission: timedelta = DEFAULT_ADMISSION,
    ) -> None:
        self._settings = settings
        self._pause = pause
        self._admission = admission
        self._own = Identity.own(settings.state_region)
        self._organization = self._own.becoming(
            Role(settings.organization_role, settings.session_name, settings.external_id)
        )
        self._accounts = Accounts(self._organization, settings, pause)
        self._preflight = Preflight(self._organization, self._accounts, settings)
        self._cells: dict[str, Identity] = {}

    async def obstacles(self, blueprint: Blueprint) -> Sequence[str]:
        account, refusals = None, []
        try:
            account = await self._accounts.find(blueprint)
        except ApplicationError as error:
            if error.type != ErrorType.REJECTED:
                raise
            refusals.append(error.message)
        cell = self._in(account) if account else self._organization
        found = await self._preflight.obstacles(blueprint, account, cell)
        return list(dict.fromkeys([*refusals, *found]))

    async def ensure_account(self, blueprint: Blueprint) -> Account:
        account = self._account(await self._accounts.ensure(blueprint))
        cell = self._in(account.id)
        await self._admitted(cell)
        await regions.enable(cell, blueprint.cloud_region, self._pause)
        return account

    async def find_account(self, blueprint: Blueprint) -> Account | None:
        found = await self._accounts.find(blueprint)
        return None if found is None else self._account(found)

    async def close_account(self, blueprint: Blueprint, account: Account) -> None:
        await self._accounts.close(blueprint, account.id)
        self._cells.pop(account.id, None)

    async def leftovers(self, blueprint: Blueprint, account: Account) -> Sequence[str]:
        """Return what is left in an account; nobody reaches anything in one that is closed."""
        if not await self._accounts.is_open(account.id):
            return []
        return await sweep.leftovers(self._in(account.id), blueprint.cloud_region, blueprint.uid)

    def variables(self, blueprint: Blueprint, account: Account) -> Mapping[str, Variable]:
        return terraform.variables(self._settings, blueprint, account)

    async def environment(self, account: Account) -> Mapping[str, str]:
        return await terraform.environment(self._settings, self._own, account)

    def backend(self, blueprint: Blueprint) -> Mapping[str, str]:
        return terraform.backend(self._settings, blueprint)

    async def cluster_access(self, foundation: Foundation) -> ClusterAccess:
        cell = self._in(foundation.account.id)
        return await cluster.access(cell, foundation.cluster.name, foundation.region)

    async def database_login(self, foundation: Foundation) -> DatabaseLogin:
        """Return what RDS keeps in Secrets Manager, and replaces every seven days."""
        cell = self._in(foundation.account.id)
        secrets = cell.client("secretsmanager", foundation.region)
        try:
            answer = await cell.ask(secrets.get_secret_value, SecretId=foundation.database_secret)
        except Exception as error:
            if code_of(error) == "ResourceNotFoundException":
                raise rejected(
                    f"there is no secret {foundation.database_secret} with the login of "
                    f"{foundation.database}: build the cell's infrastructure again"
                ) from error
            raise
        kept = json.loads(answer["SecretString"])
        return DatabaseLogin(kept["username"], kept["password"])

    async def _admitted(self, cell: Identity) -> None:
        """Wait until AWS knows the role of a new account everywhere."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._admission.total_seconds()
        while True:
            try:
                await cell.ask(cell.client("sts").get_caller_identity)
            except ApplicationError as error:
                if error.type != ErrorType.REJECTED or loop.time() > deadline:
                    raise
            else:
                return
            await asyncio.sleep(self._pause.total_seconds())

    def _account(self, account: str) -> Account:
        return Account(account, self._settings.cell_role_arn(account))

    def _in(self, account: str) -> Identity:
        """Return who the control plane is in the account of a cell."""
        if account not in self._cells:
            role = Role(self._settings.cell_role_arn(account), self._settings.session_name)
            self._cells[account] = self._organization.becoming(role)
        return self._cells[account]
