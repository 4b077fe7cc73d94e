"""Somebody in AWS: the process itself or a role it becomes, and how it makes its calls."""

import asyncio
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from botocore.config import Config
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.loaders import create_loader
from botocore.session import Session

from controlplane.aws.errors import translated

P = ParamSpec("P")
R = TypeVar("R")

CONNECT_SECONDS = 5
READ_SECONDS = 30
TRIES = 3
"""Of one call, by the library itself: activities and workflows try again with more patience."""


@dataclass(frozen=True)
class Role:
    """A role that somebody can become."""

    arn: str
    session_name: str
    """What CloudTrail shows beside the role."""
    external_id: str = ""


class Identity:
    """Somebody's credentials, renewed as they run out, and the calls made with them.

    The credentials of a role have ten minutes left at least, whenever they are used.
    """

    def __init__(self, session: Session, name: str, region: str) -> None:
        self.name = name
        """For people: a role's ARN, or that it is the process itself."""
        self.region = region
        """Where its calls go that name no other region."""
        self._session = session
        self._clients: dict[tuple[str, str, int], Any] = {}
        self._making = threading.Lock()

    @classmethod
    def own(cls, region: str) -> "Identity":
        """Return who the process is: environment, profile, web identity, instance role."""
        return cls(_session(), "the control plane's own identity", region)

    def becoming(self, role: Role) -> "Identity":
        """Return who this identity is once it has taken the role. Asks nothing yet."""
        session = _session()
        taking = _TakenRole(session, lambda: self.client("sts"), role)
        session.register_component("credential_provider", CredentialResolver([taking]))
        return Identity(session, role.arn, self.region)

    def client(self, service: str, region: str = "", tries: int = TRIES) -> Any:
        """Return the one client of the service and region; many threads may use it."""
        key = (service, region or self.region, tries)
        with self._making:  # Sessions are not for several threads.
            if key not in self._clients:
                self._clients[key] = self._session.create_client(
                    service, region_name=key[1], config=_config(tries)
                )
            return self._clients[key]

    async def ask(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Make a call of one of this identity's clients; raise its errors as ours."""
        client = call.__self__  # type: ignore[attr-defined]
        return await self._answered(_prefix(client), lambda: call(*args, **kwargs))

    async def pages(self, client: Any, operation: str, key: str, **parameters: object) -> list[Any]:
        """Return what stands under `key` on all pages of the operation's answer."""
        pages = client.get_paginator(operation).paginate(**parameters)
        return await self._answered(
            _prefix(client), lambda: [item for page in pages for item in page.get(key, ())]
        )

    async def credentials(self) -> tuple[ReadOnlyCredentials, datetime | None]:
        """Return credentials as of now, and when they end if they do."""
        return await self._answered("sts", self._frozen)

    def _frozen(self) -> tuple[ReadOnlyCredentials, datetime | None]:
        with self._making:
            found = self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        frozen = found.get_frozen_credentials()
        return frozen, getattr(found, "_expiry_time", None)

    async def _answered(self, service: str, call: Callable[[], R]) -> R:
        try:
            return await asyncio.to_thread(call)
        except (ClientError, BotoCoreError) as error:
            raise translated(error, service, self.name) from error


class _TakenRole(CredentialProvider):
    """Credentials of a role, taken when they are first needed and whenever they run out."""

    METHOD = "assume-role"

    def __init__(self, session: Session, sts: Callable[[], Any], role: Role) -> None:
        super().__init__(session)
        self._sts = sts
        self._role = role

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(refresh_using=self._take, method=self.METHOD)

    def _take(self) -> dict[str, str]:
        outside = {"ExternalId": self._role.external_id} if self._role.external_id else {}
        taken = self._sts().assume_role(
            RoleArn=self._role.arn, RoleSessionName=self._role.session_name, **outside
        )["Credentials"]
        return {
            "access_key": taken["AccessKeyId"],
            "secret_key": taken["SecretAccessKey"],
            "token": taken["SessionToken"],
            "expiry_time": taken["Expiration"].isoformat(),
        }


@functools.cache
def _models() -> object:
    """Return what reads the descriptions of services: large, and the same for everybody."""
    return create_loader()


def _session() -> Session:
    session = Session()
    session.register_component("data_loader", _models())
    return session


def _config(tries: int) -> Config:
    return Config(
        retries={"mode": "standard", "total_max_attempts": tries},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        user_agent_extra="controlplane",
    )


def _prefix(client: Any) -> str:
    """Return how IAM calls the client's service in the names of permissions."""
    name = str(client.meta.service_model.signing_name)
    return "tag" if name == "tagging" else name
