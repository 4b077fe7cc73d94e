"""Knocks at cells from where it runs: their Temporal frontends, and their ingresses."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cells.types import CellView
from provisioning.automatic.ports import CellDirectory
from provisioning.automatic.sight import ProbeReport, Trouble

PATIENCE_SECONDS = (2.0, 3.0)
"""How long each try may take: one that is lost on the way says little."""
PAUSE_SECONDS = 0.5
"""Between them: what starts again refuses for a moment."""
AT_ONCE = 400
"""Cells that are knocked at together: thrice as many that are silent are told of in time."""

_FRONTEND = "temporal.api.workflowservice.v1.WorkflowService"
_STALLED_SECONDS = 0.5
"""A prober that was held up for as long does not know whose the silence was."""
_BEAT_SECONDS = 0.05


@dataclass(frozen=True)
class KnockingProber:
    """Implements `provisioning.automatic.ports.Prober`."""

    directory: CellDirectory

    async def probe(self, region: str) -> ProbeReport:
        cells = await self.directory.cells()
        turns = asyncio.Semaphore(AT_ONCE)

        async def knock(cell: CellView) -> Trouble | None:
            async with turns:
                return await _knock(cell)

        async with _watching_oneself() as stalled:
            found = await asyncio.gather(*map(knock, cells))
        troubles = tuple(trouble for trouble in found if trouble is not None)
        well = tuple(cell.id for cell, trouble in zip(cells, found, strict=True) if trouble is None)
        if longest := stalled():
            unsure = tuple(
                Trouble(each.cell, f"held up for {longest:.1f} s itself, then: {each.why}")
                for each in troubles
            )
            return ProbeReport(region, well, unsure=unsure)
        return ProbeReport(region, well, troubles)


@contextlib.asynccontextmanager
async def _watching_oneself() -> AsyncIterator[Callable[[], float]]:
    """Tell how long this process was held up, in seconds; 0 where it was not."""
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(_BEAT_SECONDS)
            longest = max(longest, time.monotonic() - before - _BEAT_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield lambda: longest if longest >= _STALLED_SECONDS else 0.0
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


async def _knock(cell: CellView) -> Trouble | None:
    """Return what does not answer; None when all does."""
    where = cell.spec.addresses
    frontend, ingress = await asyncio.gather(
        _problem("Temporal", lambda seconds: _ask_frontend(where.frontend, seconds)),
        _problem("the ingress", lambda seconds: _ask_ingress(where.ingress, seconds)),
    )
    problems = [each for each in (frontend, ingress) if each]
    if not problems:
        return None
    return Trouble(cell.id, "; ".join(problems), frontend_answers=not frontend)


async def _problem(part: str, ask: Callable[[float], Awaitable[None]]) -> str:
    """Return why the part does not answer, having asked it as often as there is patience for."""
    problem = ""
    for seconds in PATIENCE_SECONDS:
        if problem:
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                await ask(seconds)
        except TimeoutError:
            problem = f"{part} gives no answer within {seconds:g} s"
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                problem = f"{part} gives no answer within {seconds:g} s"
            else:
                problem = f"{part}: {error.details() or error.code().name}"
        except (OSError, RuntimeError) as error:
            problem = f"{part}: {error}"
        else:
            return ""
    return problem


async def _ask_frontend(address: str, seconds: float) -> None:
    # A channel of its own: one that is shared would say for a while what was true before.
    async with grpc.aio.insecure_channel(
        address, [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    ) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=_FRONTEND)
        answer = await health.Check(request, timeout=seconds)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise RuntimeError("is not serving")


async def _ask_ingress(address: str, seconds: float) -> None:
    """Return once somebody answers a TLS handshake, be it by turning it down.

    That a connection can be made says little: the kernel takes it for a process that stands still.
    """
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # Nothing is said to whoever is there.
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            # The caller's patience ends first: running out of this one looks like a refusal.
            await writer.start_tls(context, ssl_handshake_timeout=10 * seconds)
    finally:
        writer.transport.abort()
