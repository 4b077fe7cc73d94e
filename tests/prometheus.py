"""A real Prometheus for tests: Debian's package, fetched once, run on a free port.

apt keeps its lists in a folder of ours: nothing of the machine's own state is needed or touched,
and no root.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from controlplane.local.ports import LOOPBACK, free_port
from controlplane.local.waiting import answers_http
from tests.eventually import eventually

_FETCH_SECONDS = 300
_READY_SECONDS = 60

_APT = """\
Dir::State "{folder}/state";
Dir::State::status "/dev/null";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
"""Ours for the run, over whatever the machine's own configuration says of mirrors and proxies. The
hooks that are cleared tidy up the machine's state, which this is not about."""


class PrometheusUnavailable(Exception):
    """The package could not be got or did not start; the message says why and what to do."""


@dataclass(frozen=True)
class RunningPrometheus:
    url: str
    """Its base, such as http://127.0.0.1:9090."""
    _process: asyncio.subprocess.Process
    _configuration: Path

    async def configure(self, configuration: str) -> None:
        """Replace what it scrapes by another `scraping`."""
        self._configuration.write_text(configuration)
        self._process.send_signal(signal.SIGHUP)

    async def ask(self, query: str) -> list[float]:
        """Return what an instant query finds now, one value for each series."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.url}/api/v1/query", params={"query": query})
            answer.raise_for_status()
        return [float(found["value"][1]) for found in answer.json()["data"]["result"]]

    async def until_scraped(self, query: str = "up == 1", *, series: int = 1) -> None:
        """Return once a query finds at least that many series."""

        async def found() -> bool:
            return len(await self.ask(query)) >= series

        await eventually(found, within=60, every=0.2)


def scraping(cells: Mapping[str, str], *, every_seconds: int = 1) -> str:
    """Return a configuration under which the metrics at each cell's `host:port` carry its id in the
    label `cell`."""
    targets = [{"targets": [address], "labels": {"cell": cell}} for cell, address in cells.items()]
    job = {"job_name": "cells", "static_configs": targets}
    interval = f"{every_seconds}s"
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [job] if targets else [],
        }
    )


@contextlib.asynccontextmanager
async def running_prometheus(
    folder: Path,
    configuration: str,
    *,
    history: str = "",
    retention: str = "60d",
    arguments: Sequence[str] = (),
) -> AsyncIterator[RunningPrometheus]:
    """Run a Prometheus with its files in `folder` and a configuration such as `scraping` returns.

    `history` is text in OpenMetrics format with timestamps: what it is to remember from before.
    """
    binaries = await asyncio.to_thread(prometheus_binaries)
    config, data = folder / "prometheus.yml", folder / "data"
    await asyncio.to_thread(_write, config, configuration)
    if history:
        await _remember(binaries, history, folder)
    address = f"{LOOPBACK}:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(binaries / "prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={retention}",
            f"--web.listen-address={address}",
            *arguments,
            cwd=folder,
            stdout=log,
            stderr=log,
        )

    async def ready_or_dead() -> bool:
        return process.returncode is not None or await answers_http(f"http://{address}/-/ready")

    try:
        await eventually(ready_or_dead, within=_READY_SECONDS)
        if process.returncode is not None:
            told = (folder / "prometheus.log").read_text()[-2000:]
            raise PrometheusUnavailable(f"Prometheus exited {process.returncode}: {told}")
        yield RunningPrometheus(f"http://{address}", process, config)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def prometheus_binaries() -> Path:
    """Return the folder with `prometheus` and `promtool`; fetch Debian's package the first time."""
    cache = _cache()
    present = sorted(cache.glob("*/usr/bin/prometheus"))
    if present:
        return present[-1].parent
    cache.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that it can be renamed into it when it is whole.
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as scratch:
        package = _download(Path(scratch))
        version = package.name.split("_")[1]
        unpacked = Path(scratch) / "unpacked"
        _run(["dpkg-deb", "-x", str(package), str(unpacked)], Path(scratch))
        # Somebody else may have been faster.
        with contextlib.suppress(OSError):
            unpacked.rename(cache / version)
    return cache / version / "usr" / "bin"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "controlplane" / "prometheus"


def _download(scratch: Path) -> Path:
    for part in ("state/lists/partial", "cache/archives/partial"):
        (scratch / part).mkdir(parents=True)
    settings = scratch / "apt.conf"
    settings.write_text(_APT.format(folder=scratch))
    # A source of the machine's that fails is no matter as long as the package is found.
    update = _run(["apt-get", "-c", str(settings), "-qq", "update"], scratch, check=False)
    try:
        _run(["apt-get", "-c", str(settings), "-qq", "download", "prometheus"], scratch)
    except PrometheusUnavailable as error:
        raise PrometheusUnavailable(f"{error}\napt-get update said: {update}") from error
    found = list(scratch.glob("prometheus_*.deb"))
    if not found:
        raise PrometheusUnavailable("apt-get download left no prometheus_*.deb")
    return found[0]


def _run(command: list[str], where: Path, *, check: bool = True) -> str:
    """Return what a command says on stderr."""
    if shutil.which(command[0]) is None:
        raise PrometheusUnavailable(
            f"these tests need Debian's package prometheus, and there is no {command[0]} to get it "
            f"with: put prometheus and promtool into {_cache()}/own/usr/bin"
        )
    done = subprocess.run(
        command, cwd=where, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
    )
    if check and done.returncode != 0:
        raise PrometheusUnavailable(
            "these tests need Debian's package prometheus, which could not be got: "
            f"`{' '.join(command)}` exited {done.returncode}: {done.stderr.strip()[-1000:]}. Give "
            "the machine a Debian mirror, or put prometheus and promtool into "
            f"{_cache()}/own/usr/bin"
        )
    return done.stderr.strip()[-1000:]


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


async def _remember(binaries: Path, history: str, folder: Path) -> None:
    file = folder / "history.om"
    await asyncio.to_thread(_write, file, history)
    process = await asyncio.create_subprocess_exec(
        str(binaries / "promtool"),
        *("tsdb", "create-blocks-from", "openmetrics", str(file), str(folder / "data")),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    if process.returncode != 0:
        raise PrometheusUnavailable(f"promtool cannot read the history: {told.decode()[-1000:]}")
