"""Which of the machine's processes belong to a home: each carries the home's mark.

Process ids in files lie after a crash; an environment does not, and cannot be mistaken for that
of another home.
"""

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "CONTROLPLANE_FLEET"
SUPERVISOR = "supervisord"

_STOP_SECONDS = 10
_LOOK_EVERY_SECONDS = 0.02
_ROUNDS = 3


def mark(home: Path, program: str) -> dict[str, str]:
    """Return the environment variable that marks a process as a program of the home."""
    return {MARK: f"{home}:{program}"}


@dataclass(frozen=True)
class MarkedProcess:
    program: str
    process: psutil.Process


def marked_processes(home: Path) -> Iterator[MarkedProcess]:
    """Find the home's processes, whoever their parent is now."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            owner, _, program = process.environ().get(MARK, "").rpartition(":")
            if owner == str(home) and not has_ended(process):
                yield MarkedProcess(program, process)


def stop_orphans(home: Path, supervisor: int | None) -> list[str]:
    """Stop the home's processes that do not descend from `supervisor`, and return their programs.

    None means that nothing of the home is looked after.
    """
    stopped: list[str] = []
    for _ in range(_ROUNDS):
        orphans = [p for p in marked_processes(home) if not _descends(p.process, supervisor)]
        if not orphans:
            break
        _stop(orphans)
        stopped += [p.program for p in orphans]
    return stopped


def _descends(process: psutil.Process, ancestor: int | None) -> bool:
    try:
        return ancestor in [process.pid, *(p.pid for p in process.parents())]
    except psutil.NoSuchProcess:
        return False


def _stop(marked: list[MarkedProcess]) -> None:
    # A supervisor that no longer answers goes first, or it would restart the others.
    for found in sorted(marked, key=lambda m: m.program != SUPERVISOR):
        with contextlib.suppress(psutil.NoSuchProcess):
            # SIGTERM makes PostgreSQL wait for its clients, which may be orphans too.
            interrupt = found.program == "postgres"
            found.process.send_signal(signal.SIGINT if interrupt else signal.SIGTERM)
    if not wait_until_ended([m.process for m in marked], _STOP_SECONDS):
        for found in marked:
            with contextlib.suppress(psutil.NoSuchProcess):
                found.process.kill()
        wait_until_ended([m.process for m in marked], _STOP_SECONDS)


def has_ended(process: psutil.Process) -> bool:
    """Tell whether it runs no more; whoever inherited it may take long to notice, or for ever."""
    try:
        if not process.is_running():
            return True
        # Until its last thread has ended, a process keeps its ports.
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:  # Which is also what is said of the threads of some zombies.
        return True


def wait_until_ended(processes: Sequence[psutil.Process], within: float) -> bool:
    """Wait for all of them, up to `within` seconds; return whether they have ended."""
    deadline = time.monotonic() + within
    while not all(has_ended(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY_SECONDS)
    return True
