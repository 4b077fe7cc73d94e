"""Calls to a cell's Temporal frontend: how long they may take, and what their failures mean."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import rejected, throttled
from provisioning.ports import Incarnation

CALL = timedelta(seconds=5)

_BUSY = timedelta(seconds=1)
"""How long to leave a service alone that says it has too much to do."""
_VISIBLE_WITHIN = 5.0  # Seconds.
_LOOK_EVERY = 0.05  # Seconds.

# A change of the request or of the service's state is needed: trying again cannot help.
_HOPELESS = {
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNIMPLEMENTED,
}


def called(target: Incarnation) -> str:
    return f"namespace {target.namespace} in cell {target.cell}"


@contextlib.contextmanager
def translated(target: Incarnation, attempt: str) -> Iterator[None]:
    """Turn what a Temporal service answers into what callers act on."""
    attempted = f"cell {target.cell} cannot {attempt} {target.namespace}"
    try:
        yield
    except RPCError as error:
        message = f"{attempted}: {error.message}"
        if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
            raise throttled(message, _BUSY) from error
        if error.status in _HOPELESS:
            raise rejected(message) from error
        raise ConnectionError(message) from error
    except RuntimeError as error:
        # What the SDK raises instead when it has not been connected yet.
        raise ConnectionError(f"{attempted}: {error}") from error


async def until(
    probe: Callable[[], Awaitable[bool]], otherwise: str, *, within: float = _VISIBLE_WITHIN
) -> None:
    """Return once `probe` is true; the service's caches follow its database a moment later."""
    deadline = asyncio.get_running_loop().time() + within
    while not await probe():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"{otherwise} after {within:g} s")
        await asyncio.sleep(_LOOK_EVERY)
