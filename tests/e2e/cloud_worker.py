"""A fleet whose worker is connected with clouds: an embedded one, and stand-ins for the rest.

The worker runs in the test's own process, in place of the fleet's, which knows no clouds. All else
is as people have it: API and command line, engine, PostgreSQL, DNS, real Terraform, a real API
server for Kubernetes, the pods being processes of this machine.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from cells.infrastructure.settings import InfrastructureSettings
from cells.providers.ports import Cloud
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.types import Provider
from controlplane.adapters import adapters
from controlplane.clouds import join
from controlplane.local.control_plane import WORKER, service_environment
from controlplane.local.home import Home
from controlplane.local.runtime import LocalRuntime
from controlplane.payloads import data_converter
from controlplane.secrets.file import FileSecretStore
from controlplane.settings import Settings
from controlplane.worker import build_workers
from tests.fleet import RunningFleet
from tests.kubernetes.cell_settings import settings_here
from tests.terraform.stand_in import StandIn

MODULES = Path(__file__).parents[2] / "terraform" / "modules"


@contextlib.asynccontextmanager
async def connected_with(
    fleet: RunningFleet, clouds: Mapping[Provider, Cloud], terraform: StandIn, folder: Path
) -> AsyncIterator[KubernetesSettings]:
    """Run the fleet's worker, connected with these clouds, until the block ends."""
    home = Home(fleet.home)
    env = service_environment(home, fleet.record)
    settings = Settings.from_env(env)
    kubernetes = settings_here()
    infrastructure = InfrastructureSettings(terraform.program, MODULES, folder / "terraform-work")
    infrastructure.folder.mkdir()
    secrets = FileSecretStore(settings.secrets_dir, settings.secrets_key_file)
    engine = ClientConfig.load_client_connect_config(override_env_vars=env)
    client = await Client.connect(**engine, data_converter=data_converter)
    joined = join(clouds, secrets, infrastructure, kubernetes)
    await fleet.stop(WORKER)
    try:
        async with (
            _in_environment(terraform.env),
            adapters(settings, client, LocalRuntime(home), joined) as activities,
            contextlib.AsyncExitStack() as running,
        ):
            for worker in build_workers(client, activities, settings.regions):
                await running.enter_async_context(worker)
            yield kubernetes
    finally:
        await fleet.start(WORKER)


@contextlib.asynccontextmanager
async def _in_environment(changes: Mapping[str, str]) -> AsyncIterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
