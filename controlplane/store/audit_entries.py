"""What the audit log holds, and what makes tampering with it show: canonical JSON and hashes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import JsonValue, TypeAdapter

FIRST_PREVIOUS = "0" * 64
"""What the first entry of an account names as the hash before it."""


@dataclass(frozen=True)
class Actor:
    """Who did it: a user, a service account, or the system itself."""

    type: str
    """`user`, `serviceaccount` or `system`."""
    id: str
    name: str
    api_key: str = ""
    """The id of the key that was used."""


@dataclass(frozen=True)
class AuditEntry:
    """Something that was asked of the control plane, or that one of its entities decided."""

    account: str
    source: str
    """With `number` what makes an entry one: recorded again, it is there once."""
    number: int
    what: str
    """The RPC, the action of the Fleet API, or the kind of decision."""
    status: str
    """`OK`, or the name of the gRPC status code of a refusal."""
    actor: Actor
    operation: str = ""
    """The `async_operation_id`, if it has one."""
    forwarded_for: str = ""
    """The `x-forwarded-for` header as it came."""
    details: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditRecord:
    """An entry in its place. `text` is what was hashed: canonical JSON of everything here."""

    sequence: int
    """1, 2, … within the account."""
    emitted_at: datetime
    """Later than that of the record before."""
    previous: str
    """The hash of the record before, hexadecimal."""
    entry: AuditEntry

    @property
    def log_id(self) -> str:
        """Sorts as the sequence does."""
        return f"{self.entry.account}-{self.sequence:012}"

    @property
    def text(self) -> str:
        fields: dict[str, JsonValue] = _RECORD.dump_python(self, mode="json")
        return canonical(fields)


_RECORD = TypeAdapter(AuditRecord)


def read_record(text: str) -> AuditRecord:
    """Return the record of which `text` is the canonical JSON."""
    return _RECORD.validate_json(text)


def hash_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def exported(text: str, digest: bytes) -> str:
    """Return a record as a line of NDJSON: the hashed object, with its hash as one more member.

    To check a line, take `hash` out, write the rest with sorted keys, without blanks and in ASCII,
    and take its SHA-256; `previous` is the `hash` of the line before.
    """
    return f'{text[:-1]},"hash":"{digest.hex()}"}}'


def canonical(value: JsonValue) -> str:
    """Return the one way to write a value: sorted keys, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
