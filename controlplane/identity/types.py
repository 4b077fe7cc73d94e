"""Who a caller is, and what it may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do in its account: `AccountAccess.Role`, by its deprecated names."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    FINANCE_ADMIN = "financeadmin"
    READ = "read"
    METRICS_READ = "metricsread"
    NONE = ""
    """Nothing beyond what its namespaces allow."""


class Permission(StrEnum):
    """What somebody may do in a namespace: `NamespaceAccess.Permission`, by its deprecated names.

    Each includes those after it.
    """

    ADMIN = "admin"
    WRITE = "write"
    READ = "read"


RUNS_THE_ACCOUNT = frozenset({Role.OWNER, Role.ADMIN})
"""These roles are admin of every namespace, and hold no permission on a single one."""


@dataclass(frozen=True)
class Access:
    role: Role
    namespaces: Mapping[str, Permission] = field(default_factory=dict)
    """By full namespace id."""

    def permission(self, namespace: str) -> Permission | None:
        """Return what is allowed in a namespace of the same account, if anything is."""
        return Permission.ADMIN if self.everywhere else self.namespaces.get(namespace)

    def visible(self) -> frozenset[str] | None:
        """Return the namespaces that may be known of; None means every one of the account."""
        return None if self.everywhere else frozenset(self.namespaces)

    @property
    def everywhere(self) -> bool:
        return self.role in RUNS_THE_ACCOUNT


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    created_at: datetime
    operator: bool = False
    """Whether those who run it run the fleet as well, for all accounts."""


class OwnerType(StrEnum):
    """Whom a key can belong to: `OwnerType`, by its deprecated names."""

    USER = "user"
    SERVICE_ACCOUNT = "service-account"


@dataclass(frozen=True)
class OpenOperation:
    """The change of a resource that not every cell enforces yet."""

    id: str
    creates: bool


@dataclass(frozen=True)
class User:
    id: str
    email: str
    access: Access
    created_at: datetime
    modified_at: datetime | None = None
    resource_version: str = "1"


@dataclass(frozen=True)
class ServiceAccount:
    """A machine of the account. With a scope, it can ever only reach that one namespace."""

    id: str
    name: str
    description: str
    access: Access
    scope: str | None
    """Full id of the only namespace that it is for."""
    created_at: datetime
    modified_at: datetime | None
    resource_version: str
    operation: OpenOperation | None = None


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key. The token itself is kept nowhere."""

    id: str
    owner_id: str
    owner_type: OwnerType
    display_name: str
    description: str
    disabled: bool
    expires_at: datetime
    created_at: datetime
    modified_at: datetime | None
    resource_version: str
    operation: OpenOperation | None = None


@dataclass(frozen=True)
class Principal:
    """A caller whose key was checked in this very call."""

    account: Account
    owner: User | ServiceAccount
    key: ApiKey

    @property
    def access(self) -> Access:
        return self.owner.access


class Unauthenticated(Exception):
    """Nobody we know. The message is the same whatever was wrong with the key."""

    def __init__(self) -> None:
        super().__init__(
            "no valid API key: send the header `authorization: Bearer <API key>`; a key that has "
            "expired, was disabled or was revoked has to be replaced by another one"
        )


class PermissionDenied(Exception):
    """Somebody we know, who may not do this. The message says who can change that."""
