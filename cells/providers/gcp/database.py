"""The first role of a cell's PostgreSQL server in Cloud SQL.

Terraform makes the server, and a secret without a value, so that no password is in its state. The
password is made here: written to the secret first, then given to the role. Whoever comes later, or
again, gives the role what the secret says: what is in the secret is right.
"""

import base64
import json
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from cells.providers.types import DatabaseLogin, Foundation
from controlplane.errors import rejected
from controlplane.gcp.calls import Google
from controlplane.gcp.discovered import secretmanager, sqladmin
from controlplane.gcp.errors import Refused, Status
from controlplane.gcp.waiting import until

ROLE = "postgres"
"""Which Cloud SQL gives every server, and which makes all other roles."""
PATIENCE = timedelta(minutes=5)

_PASSWORD_BYTES = 24
_SECRET = re.compile(r"projects/(?P<project>[^/]+)/secrets/(?P<instance>[^/]+)-database")
"""Named after the instance by `terraform/modules/cell-gcp`."""


@dataclass(frozen=True)
class Database:
    google: Google
    foundation: Foundation

    async def login(self) -> DatabaseLogin:
        """Return the role and its password, which is in force by then."""
        secret = self.foundation.database_secret
        if not (named := _SECRET.fullmatch(secret)):
            raise rejected(
                f"{secret!r} is no secret of a cell's database: the output database_secret of "
                "Terraform is to be projects/<project>/secrets/<instance>-database"
            )
        if await self._kept(secret) is None:
            login = DatabaseLogin(ROLE, secrets.token_urlsafe(_PASSWORD_BYTES))
            await self._keep(secret, login)
        set_last: DatabaseLogin | None = None
        while True:
            # Read again: another may have been as quick, and the latest is what everybody reads.
            kept = await until(lambda: self._kept(secret), f"a version of {secret}", PATIENCE)
            if kept == set_last:
                return kept
            await self._set_password(named["project"], named["instance"], kept)
            set_last = kept

    async def _kept(self, secret: str) -> DatabaseLogin | None:
        versions = secretmanager().projects().secrets().versions
        try:
            answer = await self.google.ask(
                lambda: versions().access(name=f"{secret}/versions/latest")
            )
        except Refused as refused:
            if refused.status is Status.NOT_FOUND:
                return None
            raise
        value = json.loads(base64.b64decode(answer["payload"]["data"]))
        return DatabaseLogin(value["username"], value["password"])

    async def _keep(self, secret: str, login: DatabaseLogin) -> None:
        value = json.dumps({"username": login.role, "password": login.password}).encode()
        data = base64.b64encode(value).decode()
        await self.google.ask(
            lambda: (
                secretmanager()
                .projects()
                .secrets()
                .addVersion(parent=secret, body={"payload": {"data": data}})
            )
        )

    async def _set_password(self, project: str, instance: str, login: DatabaseLogin) -> None:
        started = await self.google.ask(
            lambda: (
                sqladmin()
                .users()
                .update(
                    project=project,
                    instance=instance,
                    name=login.role,
                    body={"name": login.role, "password": login.password},
                )
            )
        )

        async def look() -> bool | None:
            operation = await self.google.ask(
                lambda: sqladmin().operations().get(project=project, operation=started["name"])
            )
            if operation.get("status") != "DONE":
                return None
            errors = operation.get("error", {}).get("errors", [])
            if errors:
                raise RuntimeError(
                    f"Cloud SQL did not set the password of {login.role} on {instance}: "
                    + "; ".join(f"{each.get('code')} {each.get('message', '')}" for each in errors)
                )
            return True

        await until(look, f"setting the password of {login.role} on {instance}", PATIENCE)
