"""An organisation in the stand-in: who is who in it, and the projects that were made."""

import asyncio
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.clouds.gcp.api_errors import ApiError, denied

Json = dict[str, Any]

OPERATION_SECONDS = 0.5
LOOKS = 3
"""How often one looks at an operation until it is done."""
NEWS = 2
"""How often something new is not heard of yet: a service account by policies, a grant by others."""


@dataclass
class Operation:
    """What takes its time: it ends after a few looks, or when nobody looks, by itself."""

    name: str
    finish: Callable[[], Any]
    looks: int = LOOKS
    answer: Any = None
    error: ApiError | None = None

    @property
    def is_done(self) -> bool:
        return self.looks == 0

    def look(self) -> None:
        if self.looks > 1:
            self.looks -= 1
        else:
            self.end()

    def end(self) -> None:
        if not self.is_done:
            self.looks = 0
            try:
                self.answer = self.finish()
            except ApiError as error:
                self.error = error


@dataclass
class Policy:
    bindings: list[Json] = field(default_factory=list)
    etag: str = "e0"
    writes: int = 0

    def read(self, version: int) -> Json:
        conditional = any("condition" in each for each in self.bindings)
        if conditional and version < 3:
            # As Google does: the conditions are not shown, and writing this back would lose them.
            bindings = [{k: v for k, v in b.items() if k != "condition"} for b in self.bindings]
            return {"version": 1, "etag": self.etag, "bindings": bindings}
        return {"version": 3 if conditional else 1, "etag": self.etag, "bindings": self.bindings}

    def write(self, policy: Json) -> Json:
        if policy.get("etag", self.etag) != self.etag:
            raise ApiError("ABORTED", "There were concurrent policy changes. Please retry.")
        bindings = policy.get("bindings", [])
        if any("condition" in each for each in bindings) and policy.get("version") != 3:
            raise ApiError("INVALID_ARGUMENT", "Conditional bindings need policy version 3.")
        self.bindings, self.writes = bindings, self.writes + 1
        self.etag = f"e{self.writes}"
        return self.read(3)

    def gives(self, role: str, member: str) -> int:
        """Return in how many bindings the member has the role."""
        return sum(b["role"] == role and member in b["members"] for b in self.bindings)

    def members(self) -> set[str]:
        return {member for binding in self.bindings for member in binding["members"]}


@dataclass
class ServiceAccount:
    email: str
    policy: Policy = field(default_factory=Policy)
    unheard_of: int = NEWS
    """So many policies still refuse it."""
    grant_unheard_of: int = NEWS


@dataclass
class Project:
    id: str
    number: int
    parent: str
    display_name: str
    labels: dict[str, str]
    is_active: bool = True
    policy: Policy = field(default_factory=Policy)
    billing: str = ""
    apis: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    """APIs that have made the account they act as."""
    accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    clusters: dict[str, Json] = field(default_factory=dict)
    """By location and name."""
    databases: dict[str, Json] = field(default_factory=dict)
    passwords: dict[str, dict[str, str]] = field(default_factory=dict)
    """By instance and role: what is in force."""
    secrets: dict[str, list[Json]] = field(default_factory=dict)
    """By id: versions, with their data and state."""
    compute: dict[str, list[tuple[str, Json]]] = field(default_factory=dict)
    """By kind: place and resource."""
    zones: dict[str, Json] = field(default_factory=dict)
    keys: list[Json] = field(default_factory=list)
    quotas: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"projects/{self.number}"


@dataclass
class World:
    """Everything that there is, and what the organisation lets us do."""

    folder: str
    billing_account: str
    home: Project
    """The control plane's own project."""
    bucket: str
    us: str
    """Whom the control plane is."""
    projects: dict[str, Project] = field(default_factory=dict)
    appearing: dict[str, Operation] = field(default_factory=dict)
    """By id: projects that are being made."""
    operations: dict[str, Operation] = field(default_factory=dict)
    state_policy: Policy = field(default_factory=Policy)
    zone_policy: Policy = field(default_factory=Policy)
    withheld: set[str] = field(default_factory=set)
    """Permissions that we do not have on the folder, the billing account and the bucket."""
    regions: dict[str, str] = field(default_factory=lambda: {"us-central1": "UP"})
    is_billing_open: bool = True
    made: list[str] = field(default_factory=list)
    """What was ever made, in order."""
    on_change: Callable[[Sequence[Json], Sequence[Json]], None] | None = None
    """Told of deletions and additions in the zones of the control plane's own project."""
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.projects[self.home.id] = self.home

    def start(self, finish: Callable[[], Any]) -> Operation:
        operation = Operation(f"operations/{uuid.uuid4().hex[:12]}", finish)
        self.operations[operation.name] = operation
        asyncio.get_running_loop().call_later(OPERATION_SECONDS, operation.end)
        return operation

    def operation(self, name: str) -> Operation:
        if name not in self.operations:
            raise ApiError("NOT_FOUND", f"Operation {name} is not found.")
        return self.operations[name]

    def project(self, project_id: str, caller: str, permission: str, api: str = "") -> Project:
        """Return a project for somebody who may do this in it, if the API is enabled there."""
        project = self.projects.get(project_id)
        allowed = project is not None and (caller == self.us or caller in project.policy.members())
        if project is None or not project.is_active or not allowed:
            raise denied(permission, f"projects/{project_id}")
        if api and api not in project.apis:
            raise ApiError(
                "PERMISSION_DENIED",
                f"{api} has not been used in project {project.number} before or it is disabled. "
                "If you enabled this API recently, wait a few minutes for the action to propagate.",
                reason="SERVICE_DISABLED",
                metadata={"service": api, "consumer": project.name},
            )
        return project

    def account(self, email: str) -> ServiceAccount:
        for project in self.projects.values():
            if email in project.accounts and project.is_active:
                return project.accounts[email]
        raise ApiError("NOT_FOUND", f"Unknown service account {email}")

    def check_members(self, policy: Json) -> None:
        """Refuse service accounts that are not there, or are too new to be known."""
        for binding in policy.get("bindings", []):
            for member in binding["members"]:
                kind, _, email = member.partition(":")
                if kind != "serviceAccount" or member == self.us:
                    continue
                account = next(
                    (
                        project.accounts[email]
                        for project in self.projects.values()
                        if email in project.accounts
                    ),
                    None,
                )
                if account is None or account.unheard_of:
                    if account is not None:
                        account.unheard_of -= 1
                    raise ApiError("INVALID_ARGUMENT", f"Service account {email} does not exist.")

    def new_token(self, caller: str) -> str:
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self.tokens[token] = caller
        return token
