"""An export of the audit log, checked without anybody's help but its own hashes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from controlplane.store.audit_entries import (
    FIRST_PREVIOUS,
    AuditRecord,
    canonical,
    hash_of,
    read_record,
)


@dataclass(frozen=True)
class ExportedRecord:
    """A line of an export that is as it was written."""

    record: AuditRecord
    hash: str


@dataclass(frozen=True)
class Chain:
    """What an export proves: that nothing in it was changed, removed or put in between."""

    records: int
    first: int
    """The sequence of its first record; what was before it, it does not prove."""
    last: int
    last_hash: str
    """Keep it: a later export that does not contain it was cut or rewritten."""


class Broken(Exception):
    """The export is not what was written. The message says where."""


def read_line(line: str) -> ExportedRecord:
    """Return the record of a line; raise Broken unless its hash is that of what it says."""
    try:
        fields: dict[str, JsonValue] = json.loads(line)
        claimed = fields.pop("hash")
        text = canonical(fields)
        record = read_record(text)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Broken(f"is no record of an audit log ({error})") from error
    if hash_of(text).hex() != claimed:
        raise Broken("was changed: its hash is not that of what it says")
    return ExportedRecord(record, str(claimed))


def check_chain(lines: Iterable[str]) -> Chain | None:
    """Return what the lines prove, None if there are none; raise Broken that names the line."""
    chain: Chain | None = None
    for number, line in enumerate(lines, 1):
        try:
            read = read_line(line)
            _check_place(read.record, chain)
        except Broken as broken:
            raise Broken(f"line {number} {broken}") from None
        sequence = read.record.sequence
        chain = Chain(number, chain.first if chain else sequence, sequence, read.hash)
    return chain


def _check_place(record: AuditRecord, before: Chain | None) -> None:
    if before is None:
        if record.sequence == 1 and record.previous != FIRST_PREVIOUS:
            raise Broken("claims to be the first record, and names one before it")
        return
    if record.sequence != before.last + 1:
        raise Broken(
            f"is record {record.sequence}, after record {before.last}: records are missing, "
            "or not in their order"
        )
    if record.previous != before.last_hash:
        raise Broken(f"does not follow record {before.last}: one of the two was replaced")
