"""The configuration file of a home's supervisord."""

import hashlib
import os
import re
import resource
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.local.home import Home
from controlplane.local.processes import mark

_OPEN_FILES = 4096
_STOP_SECONDS = 10
_SECTION = re.compile(r"^\[(.+)\]\n(?:.+\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """A process to keep running. No secrets in here: arguments and environments can be read."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    reads: Sequence[Path] = ()
    """Files it reads once, at its start: when their content changes, it is restarted."""
    version: str = ""
    """Of the program: another one is started in its place."""
    user: str | None = None
    stop_signal: str = "TERM"


def socket_file(home: Home) -> Path:
    """Return the Unix socket on which supervisord answers."""
    return home.run / "supervisor.sock"


def log_file(home: Home, program: str) -> Path:
    """Return where a program's output goes, and supervisord's own."""
    return home.logs / f"{program}.log"


def render(home: Home, programs: Sequence[Program]) -> str:
    """Return the configuration that keeps `programs` running once they have been started.

    The same programs give the same bytes.
    """
    supervisord = {
        "logfile": log_file(home, "supervisord"),
        "logfile_maxbytes": "10MB",
        "logfile_backups": 1,
        "pidfile": home.run / "supervisord.pid",
        "directory": "/",
        "umask": "077",
        "minfds": _open_files(),
        **({"user": "root"} if os.geteuid() == 0 else {}),
    }
    sections = [
        _section("unix_http_server", {"file": socket_file(home), "chmod": "0700"}),
        _section("supervisord", supervisord),
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
        *(_program(home, program) for program in sorted(programs, key=lambda p: p.name)),
    ]
    return "\n".join(sections)


def with_programs(configuration: str, home: Home, programs: Sequence[Program]) -> str:
    """Return the configuration with these programs in it as they are now, all others untouched."""
    changed = "\n".join(_program(home, program) for program in programs)
    return "\n".join({**_sections(configuration), **_sections(changed)}.values())


def _program(home: Home, program: Program) -> str:
    environment = {**program.environment, **mark(home.path, program.name)}
    # Supervisord restarts what is configured anew; so this tells it of files and versions too.
    environment["CONTROLPLANE_RUNS"] = f"{program.version}/{_digest(program.reads)}"
    settings: dict[str, object] = {
        "command": shlex.join(program.command),
        "environment": ",".join(f'{name}="{value}"' for name, value in environment.items()),
        "directory": "/",
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 1,
        # Never given up: what it waits for may come back at any time.
        "startretries": 1_000_000,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": _STOP_SECONDS,
        "redirect_stderr": "true",
        "stdout_logfile": log_file(home, program.name),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 2,
    }
    if program.user is not None:
        settings["user"] = program.user
    return _section(f"program:{program.name}", settings)


def _section(name: str, settings: Mapping[str, object]) -> str:
    # Supervisord expands %(name)s in values.
    lines = (f"{key} = {str(value).replace('%', '%%')}\n" for key, value in settings.items())
    return f"[{name}]\n{''.join(lines)}"


def _sections(configuration: str) -> dict[str, str]:
    return {found[1]: found[0] for found in _SECTION.finditer(configuration)}


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _open_files() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
