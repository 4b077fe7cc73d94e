"""Starting one program of a fleet, and knowing when it will not come up."""

import os
import time
from collections.abc import Awaitable, Callable

from controlplane.local.failures import FleetFailed
from controlplane.local.home import Home
from controlplane.local.supervisor import Supervisor
from controlplane.local.supervisord_config import log_file
from controlplane.local.waiting import until

START_SECONDS = 90.0
"""How long a program may take; a laptop under load takes a few."""
HANGING_SECONDS = 10.0
"""How long a program that is up already has to answer before it is started anew."""

_LOOK_FOR_CRASHES_EVERY_SECONDS = 1.0
_TOO_MANY_CRASHES = 3
_TAIL_BYTES = 64 * 1024
_CAUSES = ("panic: ", "fatal error: ", "Error: ", "error: ")


class DoesNotStart(FleetFailed):
    """A program dies or does not answer; the message has the most telling line of its log."""


async def start_until(
    probe: Callable[[], Awaitable[bool]], program: str, supervisor: Supervisor
) -> None:
    """Start a program and return once `probe` is true; raise DoesNotStart if it never is."""
    before = (await supervisor.statuses())[program].restarts
    await supervisor.start(program)
    asked_at = time.monotonic()

    async def answers() -> bool:
        nonlocal asked_at
        if await probe():
            return True
        if time.monotonic() - asked_at > _LOOK_FOR_CRASHES_EVERY_SECONDS:
            asked_at = time.monotonic()
            crashes = (await supervisor.statuses())[program].restarts - before
            if crashes >= _TOO_MANY_CRASHES:
                said = _last_words(supervisor.home, program)
                raise DoesNotStart(f"{program} died {crashes} times: {said}")
        return False

    try:
        await until(answers, "answers", START_SECONDS)
    except TimeoutError:
        said = _last_words(supervisor.home, program)
        raise DoesNotStart(f"{program} does not answer after {START_SECONDS:g} s: {said}") from None


def _last_words(home: Home, program: str) -> str:
    with log_file(home, program).open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(log.tell() - _TAIL_BYTES, 0))
        lines = log.read().decode(errors="replace").split("\n")
    said = [line for line in reversed(lines) if line.strip()]
    # A stack trace comes after what it is about.
    causes = [line for line in said if line.startswith(_CAUSES)]
    return (causes or said or ["it logged nothing"])[0]
