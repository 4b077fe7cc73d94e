"""What a cluster answers when it does not do as it is told, translated once."""

import json
from collections.abc import Mapping
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from cells.runtime.kubernetes.documents import Json, elements, number, text
from controlplane.errors import rejected, throttled

_CONFLICT = "FieldManagerConflict"
_DEFAULT_WAIT = timedelta(seconds=1)


class Absent(Exception):
    """What was asked for is not there."""


class Changed(Exception):
    """Somebody else changed the object since it was read: read it again."""


class ClusterUnavailable(Exception):
    """The cluster did not answer, or not as one that works: trying again may help."""


class FieldConflict(Exception):
    """Fields that are to be set belong to somebody else."""

    def __init__(self, name: str, owners: Mapping[str, str]) -> None:
        self.name = name
        self.owners = dict(owners)
        """Who owns each field."""
        fields = ", ".join(f"{field} is {owner}'s" for field, owner in self.owners.items())
        super().__init__(f"{name}: {fields}")


def failure(
    asked: str, name: str, status: int, body: bytes, headers: Mapping[str, str]
) -> Exception:
    """Return what an answer that is no success means. `asked` is the verb, for people."""
    answer = _decoded(body)
    reason, message = text(answer, "reason"), text(answer, "message")
    said = message or body.decode(errors="replace")[:300] or f"HTTP {status}"
    match status:
        case 404:
            return Absent(f"{name}: {said}")
        case 409 if owners := _owners(answer):
            return FieldConflict(name, owners)
        case 409:
            return Changed(f"{name}: {said}")
        case 401:
            return ClusterUnavailable(f"the cluster does not let us in to {asked} {name}: {said}")
        case 403:
            return rejected(
                f"the cluster does not allow us to {asked} {name}: {said}. Grant it to whom the "
                f"control plane acts as in the cell's account"
            )
        case 429:
            return _throttled(asked, name, answer, headers)
        case 400 | 405 | 413 | 415 | 422:
            return rejected(f"the cluster refuses to {asked} {name}: {said}")
        case _:
            return ClusterUnavailable(
                f"the cluster could not {asked} {name}: {said}{f' ({reason})' if reason else ''}"
            )


def _throttled(asked: str, name: str, answer: Json, headers: Mapping[str, str]) -> ApplicationError:
    after = headers.get("Retry-After", "")
    seconds = int(after) if after.isdecimal() else number(answer, "details", "retryAfterSeconds")
    wait = timedelta(seconds=seconds) or _DEFAULT_WAIT
    return throttled(f"the cluster has too much to do to {asked} {name}", wait)


def _owners(answer: Json) -> dict[str, str]:
    """Return who owns the fields that an apply may not have."""
    return {
        text(cause, "field"): _owner(text(cause, "message"))
        for cause in elements(answer, "details", "causes")
        if text(cause, "reason") == _CONFLICT
    }


def _owner(message: str) -> str:
    """Read `conflict with "kubectl-edit" using apps/v1`."""
    parts = message.split('"')
    return parts[1] if len(parts) > 1 else message


def _decoded(body: bytes) -> Json:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
