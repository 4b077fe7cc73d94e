"""What can go wrong between a caller and AWS, on demand, operation by operation."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    THROTTLE = "throttle"
    ERROR = "error"
    """AWS answers 500, and has done nothing."""
    RESET = "reset"
    """The connection is reset before anything was done."""
    LOST = "lost"
    """It was done, and then the connection is reset."""
    SLOW = "slow"
    DENIED = "denied"
    QUOTA = "quota"

    @property
    def passes(self) -> bool:
        """Whether trying again helps."""
        return self not in (Kind.DENIED, Kind.QUOTA)


STEERING = "/_stand-in/"
"""Where the stand-in takes its orders."""
RETRY_AFTER_SECONDS = 7
SLOW_SECONDS = 0.4


@dataclass(frozen=True)
class Fault:
    operation: str
    """Such as `organizations:CreateAccount`."""
    kind: Kind
    times: int = 1
    skip: int = 0
    """So many calls go through before."""
    session: str = ""
    """Only for roles taken under this session name, and for the taking of them."""

    def wire(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> "Fault":
        return cls(**{**told, "kind": Kind(told["kind"])})


class Faults:
    """The faults that are still to happen, and how many did; for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[list[Any]] = []
        self._fired: dict[tuple[str, str], int] = {}

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._pending.append([fault, fault.skip, fault.times])

    def clear(self) -> None:
        with self._lock:
            self._pending.clear()
            self._fired.clear()

    def fired(self, session: str | None = None) -> dict[str, int]:
        """Return how often faults happened, by `<operation> <kind>`: to everybody or one session,
        whose faults are over with that."""
        with self._lock:
            told: dict[str, int] = {}
            for (whose, name), times in list(self._fired.items()):
                if session in (None, whose):
                    told[name] = told.get(name, 0) + times
                if session == whose:
                    del self._fired[(whose, name)]
            if session is not None:
                self._pending = [one for one in self._pending if one[0].session != session]
            return told

    def next(self, operation: str, session: str) -> Kind | None:
        """Return what goes wrong with this call, if anything does."""
        with self._lock:
            for entry in self._pending:
                fault, skip, times = entry
                if fault.operation != operation or fault.session not in ("", session):
                    continue
                if skip:
                    entry[1] -= 1
                elif times:
                    entry[2] -= 1
                    key = (session, f"{operation} {fault.kind}")
                    self._fired[key] = self._fired.get(key, 0) + 1
                    return Kind(fault.kind)
        return None


def refusal(kind: Kind, service: str) -> tuple[int, str, str, str]:
    """Return status, code, message and reason of what AWS answers, as each service calls it."""
    match kind:
        case Kind.THROTTLE:
            codes = {"ec2": "RequestLimitExceeded", "s3": "SlowDown", "sts": "Throttling"}
            codes |= {"iam": "Throttling", "route53": "Throttling", "rds": "Throttling"}
            codes["organizations"] = "TooManyRequestsException"
            status = 503 if service in ("ec2", "s3") else 400
            return status, codes.get(service, "ThrottlingException"), "Rate exceeded", ""
        case Kind.DENIED:
            codes = {"ec2": "UnauthorizedOperation", "s3": "AccessDenied", "sts": "AccessDenied"}
            codes |= {"iam": "AccessDenied", "route53": "AccessDenied", "rds": "AccessDenied"}
            codes["elasticloadbalancing"] = "AccessDenied"
            return 403, codes.get(service, "AccessDeniedException"), "is not authorized", ""
        case Kind.QUOTA if service == "organizations":
            reason = "ACCOUNT_NUMBER_LIMIT_EXCEEDED"
            return 400, "ConstraintViolationException", "You have exceeded a limit", reason
        case Kind.QUOTA:
            codes = {"ec2": "VpcLimitExceeded", "eks": "ResourceLimitExceededException"}
            return 400, codes.get(service, "LimitExceededException"), "You have reached a limit", ""
        case _:
            return 500, "InternalFailure", "We encountered an internal error", ""
