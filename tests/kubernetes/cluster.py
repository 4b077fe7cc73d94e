"""A real Kubernetes cluster for tests, without containers.

    async with running_cluster(tmp_path) as cluster:
        cluster.access            # a ClusterAccess, with all rights
        cluster.kubelet           # what its pods are run by

etcd, kube-apiserver, controller-manager and scheduler are the real ones (1.20.2 unless
KUBEBUILDER_ASSETS names others): server-side apply and its conflicts, RBAC, admission, rollouts,
jobs, evictions are Kubernetes' own. What is not real are the nodes. Three of them, one in each of
three zones, are played by a kubelet that runs every container as a process of this machine
(`kubelet.py` says how, `programs.py` which program stands for which image), and by what a cloud
does for Services of type LoadBalancer (`balancer.py`). So NetworkPolicies, security contexts and
limits are accepted and kept, and nobody enforces them.

It is ready after three seconds, and is stopped, pods and all, when the block ends. Logs are in
`home`. Everything that plays a node runs in this process's event loop: a test that blocks the loop
stops the nodes.

With CONTROLPLANE_TEST_KUBECONFIG, the cluster which that file leads to is used instead, and only
our nodes are added. It has to have none of its own.
"""

import asyncio
import contextlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cells.providers.types import Cluster, ClusterAccess
from controlplane.local.ports import LOOPBACK, assign_ports
from controlplane.local.waiting import until
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.authenticator import Authenticator, asked_by_webhook
from tests.kubernetes.binaries import KubernetesUnavailable, control_plane_binaries
from tests.kubernetes.given import KUBECONFIG, given_cluster
from tests.kubernetes.kubelet import Kubelet, running_kubelet
from tests.kubernetes.programs import PROGRAMS, Program

_READY_SECONDS = 300  # Three on a quiet machine, half a minute on a busy one.
_STOP_SECONDS = 30
_LOG_TAIL_BYTES = 2000
_SERVICES = "10.250.0.0/16"


@dataclass(frozen=True)
class RunningCluster:
    """A cluster, and its first administrator's way in."""

    access: ClusterAccess
    kubelet: Kubelet
    version: str
    """Such as `v1.20.2`."""
    home: Path
    """Where its logs are, those of the pods in `pods/`."""

    @property
    def cluster(self) -> Cluster:
        """What everybody may know of it."""
        return self.access.cluster

    def as_user(self, token: str) -> ClusterAccess:
        """Return the way in of whoever has this token."""
        return ClusterAccess(self.cluster, token, _in_a_year())


@contextlib.asynccontextmanager
async def running_cluster(
    home: Path,
    programs: Mapping[str, Program] = PROGRAMS,
    authenticator: Authenticator | None = None,
) -> AsyncIterator[RunningCluster]:
    """Run a cluster until the block ends, with its files in `home`.

    `programs` is what stands for which image. `authenticator` is asked whose a token is that the
    cluster does not know: what it may do is then up to RBAC, as everywhere.
    """
    (home / "pods").mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        if kubeconfig := os.environ.get(KUBECONFIG):
            if authenticator is not None:
                raise KubernetesUnavailable(
                    f"this test needs a cluster that asks it about tokens: unset {KUBECONFIG}"
                )
            access = given_cluster(Path(kubeconfig))
        else:
            access = await stack.enter_async_context(_control_plane(home, authenticator))
        api = await stack.enter_async_context(KubernetesApi(access))
        version = (await api.get("/version"))["gitVersion"]
        kubelet = await stack.enter_async_context(running_kubelet(api, home / "pods", programs))
        yield RunningCluster(access, kubelet, version, home)


@contextlib.asynccontextmanager
async def _control_plane(
    home: Path, authenticator: Authenticator | None
) -> AsyncIterator[ClusterAccess]:
    binaries = await control_plane_binaries()
    ports = assign_ports(["client", "peer", "api"], {})
    etcd = f"http://{LOOPBACK}:{ports['client']}"
    peer = f"http://{LOOPBACK}:{ports['peer']}"
    endpoint = f"https://{LOOPBACK}:{ports['api']}"
    token = secrets.token_urlsafe(24)
    _write_tokens(home / "tokens.csv", token)
    _write_account_keys(home)
    async with contextlib.AsyncExitStack() as stack:
        webhook: list[str] = []
        if authenticator is not None:
            file = home / "webhook.yaml"
            await stack.enter_async_context(asked_by_webhook(authenticator, file))
            webhook = [
                f"--authentication-token-webhook-config-file={file}",
                "--authentication-token-webhook-version=v1",
                "--authentication-token-webhook-cache-ttl=0s",
            ]
        await stack.enter_async_context(
            _process(
                home / "etcd.log",
                str(binaries / "etcd"),
                f"--data-dir={home / 'etcd'}",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
            )
        )
        apiserver = await stack.enter_async_context(
            _process(
                home / "kube-apiserver.log",
                str(binaries / "kube-apiserver"),
                f"--etcd-servers={etcd}",
                f"--bind-address={LOOPBACK}",
                f"--secure-port={ports['api']}",
                f"--cert-dir={home}",
                f"--service-cluster-ip-range={_SERVICES}",
                f"--token-auth-file={home / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-signing-key-file={home / 'accounts.key'}",
                f"--service-account-key-file={home / 'accounts.pub'}",
                # Its own address would be 127.0.0.1, which the API refuses in Endpoints.
                "--endpoint-reconciler-type=none",
                "--allow-privileged=true",
                *webhook,
            )
        )
        certificate = home / "apiserver.crt"

        async def ready_or_dead() -> bool:
            return apiserver.returncode is not None or await _is_ready(endpoint, token, certificate)

        await until(ready_or_dead, f"{endpoint}/readyz", _READY_SECONDS)
        if apiserver.returncode is not None:
            told = (home / "kube-apiserver.log").read_bytes()[-_LOG_TAIL_BYTES:]
            raise KubernetesUnavailable(
                f"kube-apiserver exited {apiserver.returncode}: {told.decode(errors='replace')}"
            )
        access = _access(endpoint, token, certificate)
        for command in await _controllers(binaries, home, access):
            log = home / f"{Path(command[0]).name}.log"
            await stack.enter_async_context(_process(log, *command))
        yield access


async def _controllers(binaries: Path, home: Path, access: ClusterAccess) -> list[list[str]]:
    kubeconfig = home / "kubeconfig.yaml"
    cluster = {"server": access.cluster.endpoint, "certificate-authority": f"{home}/apiserver.crt"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": access.token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
        "current-context": "tests",
    }
    _write_private(kubeconfig, yaml.safe_dump(config))
    manager, scheduler = binaries / "kube-controller-manager", binaries / "kube-scheduler"
    shared = [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]
    # Those before 1.22 serve without TLS as well, on a port that another cluster may have.
    insecure = ["--port=0"] if await _minor_version(manager) < 22 else []
    return [
        [
            str(manager),
            *shared,
            *insecure,
            f"--service-account-private-key-file={home / 'accounts.key'}",
            f"--root-ca-file={home / 'apiserver.crt'}",
            "--controllers=*,-nodeipam",
            # A busy machine is late with its leases; that does not make a node a lost one.
            "--node-monitor-grace-period=600s",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ],
        [str(scheduler), *shared, *insecure],
    ]


async def _minor_version(program: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        str(program), "--version", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    found = re.search(r"v1\.(\d+)\.", output.decode())
    if found is None:
        raise KubernetesUnavailable(f"{program} --version says no version: {output!r}")
    return int(found[1])


@contextlib.asynccontextmanager
async def _process(log: Path, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"PATH": os.defpath, "HOME": str(log.parent)},
            cwd=log.parent,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _is_ready(endpoint: str, token: str, certificate: Path) -> bool:
    try:
        async with KubernetesApi(_access(endpoint, token, certificate)) as api:
            return await api.is_ready()
    except (httpx.HTTPError, OSError):  # The certificate may be absent, or half written.
        return False


def _access(endpoint: str, token: str, certificate: Path) -> ClusterAccess:
    return ClusterAccess(Cluster("tests", endpoint, certificate.read_text()), token, _in_a_year())


def _write_account_keys(home: Path) -> None:
    """Write the pair of keys with which tokens of service accounts are signed and checked."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_private(home / "accounts.key", private.decode())
    (home / "accounts.pub").write_bytes(public)


def _write_tokens(file: Path, token: str) -> None:
    _write_private(file, f"{token},admin,admin,system:masters\n")


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _in_a_year() -> datetime:
    return datetime.now(UTC) + timedelta(days=365)
