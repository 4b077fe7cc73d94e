"""Whose word counts that a database server is the one it says it is."""

import atexit
import functools
import hashlib
import shutil
import tempfile
from pathlib import Path

from psycopg.conninfo import make_conninfo


def verified(conninfo: str, ca: str) -> str:
    """Return the conninfo of a server whose certificate one of these authorities has signed.

    `ca` is PEM; without any, the conninfo says all there is to say.
    """
    return make_conninfo(conninfo, sslrootcert=str(authority_file(ca))) if ca else conninfo


def authority_file(ca: str) -> Path:
    """Return a file that holds these certificates: libpq takes them in no other way.

    It is this process's own and goes with it; what they say is no secret.
    """
    file = _folder() / f"{hashlib.sha256(ca.encode()).hexdigest()}.pem"
    if not file.exists():
        # It may have been there: who tidies up temporary files does not know who needs them.
        file.parent.mkdir(mode=0o700, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_text(ca)
        partial.rename(file)
    return file


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="controlplane-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
