"""The programs of a real Kubernetes control plane: built once per machine out of Debian's packages.

They lie in `~/.cache/controlplane/kubernetes-<digest of build.sh>/bin`, outside the checkout. The
first time takes minutes: `python -m tests.kubernetes.binaries` has it behind oneself.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from controlplane.local.file_lock import file_locked

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

_ASSETS = "KUBEBUILDER_ASSETS"
_SCRIPT = Path(__file__).with_name("build.sh")
_UNFINISHED = ".building-"
_LOG_TAIL_BYTES = 3000


class KubernetesUnavailable(Exception):
    """There is no Kubernetes to test with; the message says why and what to do."""


async def control_plane_binaries(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder with `PROGRAMS`: the one in KUBEBUILDER_ASSETS, or ours, built if need be.

    Whoever comes while another process builds waits for it.
    """
    if assets := env.get(_ASSETS):
        return _complete(Path(assets))
    folder = _folder(env)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        async with file_locked(folder.with_suffix(".lock")):
            if not folder.exists():
                await _build(folder, env)
    return folder / "bin"


def _complete(assets: Path) -> Path:
    missing = [program for program in PROGRAMS if not (assets / program).is_file()]
    if missing:
        raise KubernetesUnavailable(
            f"{_ASSETS}={assets} has no {', '.join(missing)}: it needs {', '.join(PROGRAMS)}; "
            f"unset {_ASSETS} to have them built"
        )
    return assets


def _folder(env: Mapping[str, str]) -> Path:
    base = Path(env.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "controlplane"
    return base / f"kubernetes-{hashlib.sha256(_SCRIPT.read_bytes()).hexdigest()[:16]}"


async def _build(folder: Path, env: Mapping[str, str]) -> None:
    """Build beside the folder's place, and rename what is whole into it."""
    for leftover in folder.parent.glob(f"{_UNFINISHED}*"):  # Under the lock: nobody's any more.
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
    log = folder.with_suffix(".log")
    try:
        exited = await _run_script(scratch, log, env)
        if exited != 0:
            raise KubernetesUnavailable(
                f"these tests need a Kubernetes control plane, which {_SCRIPT.name} could not build"
                f" (it exited {exited}, {log} has it all):\n{_tail(log)}\n"
                "It needs apt, dpkg, bash, make, tar, an archive of Debian 12 (the machine's own, "
                "or the address in CONTROLPLANE_DEBIAN_ARCHIVE) and 3 GB of disk. Or have "
                f"{', '.join(PROGRAMS)} in a folder and name that in {_ASSETS}"
            )
        result = scratch / "result"
        result.mkdir()
        (scratch / "bin").rename(result / "bin")
        result.rename(folder)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


async def _run_script(scratch: Path, log: Path, env: Mapping[str, str]) -> int:
    with log.open("wb") as output:
        # In a session of its own, so that all that it started ends with it.
        script = await asyncio.create_subprocess_exec(
            *("nice", "bash", str(_SCRIPT), str(scratch)),
            cwd=scratch,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            return await script.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(script.pid, signal.SIGKILL)
            await script.wait()
            raise


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()


if __name__ == "__main__":
    print(
        "A Kubernetes control plane for tests: the first time it is built, for some minutes.",
        flush=True,
    )
    print(asyncio.run(control_plane_binaries()))
