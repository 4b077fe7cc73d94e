"""Who a caller is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a user may do in its account; the lower-case names of `AccountAccess.Role`."""

    OWNER = "owner"


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True)
class User:
    id: str
    email: str
    role: Role
    created_at: datetime


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key. The token itself is kept nowhere."""

    id: str
    display_name: str
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True)
class Principal:
    """A caller whose key was checked in this very call."""

    account: Account
    user: User
    key: ApiKey


class Unauthenticated(Exception):
    """Nobody we know. The message is the same whatever was wrong with the key."""

    def __init__(self) -> None:
        super().__init__(
            "no valid API key: send the header `authorization: Bearer <API key>`; a key that has "
            "expired, was disabled or was revoked has to be replaced by another one"
        )
