"""The API as a process: settings and secrets in, signals heard, everything put together."""

import asyncio
import logging
import signal
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from cells.client import CellClient
from cells.ledger.client import LedgerClient
from cells.life.client import CellLifeClient
from controlplane.api.certificate import ApiCertificate
from controlplane.api.engine import EngineWriter, connect_lazily
from controlplane.api.fleet_engine import (
    EngineAvailability,
    EngineCells,
    EngineEvacuations,
    EngineLedger,
    EngineLives,
    EngineRollouts,
)
from controlplane.api.logs import log_json_lines
from controlplane.api.ports import FleetWriters
from controlplane.api.server import serving
from controlplane.api.simulator import SimulatorProcess
from controlplane.identity.keys import ApiKeys
from controlplane.identity.signing_keys import load_signer
from controlplane.secrets.file import FileSecretStore
from controlplane.settings import ApiSettings, Settings
from controlplane.store.pool import database_conninfo, open_pool_on
from controlplane.store.schema import migrate
from provisioning.automatic.client import AvailabilityClient
from provisioning.client import NamespaceClient
from provisioning.evacuation.client import EvacuationClient
from rollout.client import RolloutClient

_ENGINE_ANSWERS_WITHIN = timedelta(seconds=2)
_logger = logging.getLogger(__name__)


async def run(settings: Settings, listen: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT. The engine may be down: then reads work and writes wait."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    secrets = FileSecretStore(settings.secrets_dir, settings.secrets_key_file)
    conninfo = await database_conninfo(settings, secrets)
    await migrate(conninfo)
    engine = await connect_lazily()
    writer = EngineWriter(NamespaceClient(engine))
    fleet = FleetWriters(
        EngineRollouts(RolloutClient(engine)),
        EngineLedger(LedgerClient(engine)),
        EngineCells(CellClient(engine)),
        SimulatorProcess(),
        EngineEvacuations(EvacuationClient(engine)),
        EngineAvailability(AvailabilityClient(engine)),
        EngineLives(CellLifeClient(engine)),
    )
    pool = await open_pool_on(conninfo)
    try:
        keys = ApiKeys(pool, await load_signer(secrets))
        certificate = ApiCertificate(secrets, settings.zone)
        async with serving(
            pool,
            keys,
            writer,
            fleet,
            certificate,
            settings.zone,
            listen,
            lambda: _answers(engine),
        ) as ports:
            _logger.info("serving", extra=vars(ports))
            await stop.wait()
            _logger.info("stopping")
    finally:
        await pool.close()


async def _answers(engine: Client) -> bool:
    try:
        return await engine.service_client.check_health(timeout=_ENGINE_ANSWERS_WITHIN)
    except (RPCError, RuntimeError):
        # The latter is how a lazy client reports that it could not connect.
        return False


def main() -> None:
    """Run the API with the settings in the environment."""
    log_json_lines()
    asyncio.run(run(Settings.from_env(), ApiSettings.from_env()))
