"""A namespace over two years of the engine's time: what ages is renewed, what cannot be is told."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner

from controlplane.worker import build_workers
from provisioning import workflow
from provisioning.certificates.x509 import new_ca
from provisioning.memory import CERTIFICATE_LIFE, MemoryWorld
from provisioning.plan import RENEW_BEFORE, ROTATE_EVERY, WARN_BEFORE
from provisioning.replicas.memory import MemoryReplication
from provisioning.types import (
    CreateNamespace,
    NamespaceCondition,
    NamespaceView,
    Step,
    UpdateNamespace,
)
from tests.engine import (
    REGION,
    Entities,
    MemoryCells,
    all_activities,
    cell_view,
    memory_activities,
    namespace_spec,
)
from tests.eventually import eventually

NAME = "orders.acme1"
DAY = timedelta(days=1)
TWO_YEARS = 730 * DAY
LOOK_EVERY = DAY
"""As an entity looks at its world hourly, two years would be 17,520 looks."""


@dataclass
class EngineClock:
    """The world's clock: the engine's time, as the latest patient activity was told it. To a local
    activity a worker tells the time of its own machine, which does not skip."""

    latest: datetime = field(default_factory=lambda: datetime.now(UTC))
    is_away: bool = False
    """Whether the world does not answer."""

    def __call__(self) -> datetime:
        if self.is_away:
            raise ConnectionError("connection refused")
        if activity.in_activity():
            self.latest = max(self.latest, activity.info().started_time)
        return self.latest


@dataclass
class Years:
    """A namespace's world and the engine's clock, which only moves when it is told to."""

    environment: WorkflowEnvironment
    clock: EngineClock = field(default_factory=EngineClock)
    world: MemoryWorld = field(init=False)

    def __post_init__(self) -> None:
        self.world = MemoryWorld(now=self.clock, known_cells=[cell_view()])

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Entities]:
        """Run workers, unsandboxed as in production: a sandbox would load the interval anew."""
        parts = MemoryCells()
        workers = build_workers(
            self.environment.client,
            all_activities(self.environment.client, parts, memory_activities(self.world)),
            [REGION],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with AsyncExitStack() as running:
            for worker in workers:
                await running.enter_async_context(worker)
            replication = MemoryReplication(self.world)
            yield Entities(self.environment.client, self.world, parts, replication)

    async def pass_days(self, days: float) -> None:
        """Let time pass, and what became due come to its end."""
        await self.environment.sleep(days * DAY)

    @property
    def view(self) -> NamespaceView:
        return self.world.views[NAME]

    def times(self, step: Step) -> int:
        """Return how often a step was taken."""
        return [taken for taken, _ in self.world.taken].count(step)

    def condition(self, name: NamespaceCondition) -> tuple[str, str]:
        condition = self.view.conditions[name]
        return condition.status, condition.reason


@pytest.fixture
def years(engine_in_skipped_time: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> Years:
    monkeypatch.setattr(workflow, "RESYNC_EVERY", LOOK_EVERY)
    return Years(engine_in_skipped_time)


async def test_for_two_years_nothing_expires_and_nothing_is_renewed_too_often(
    years: Years,
) -> None:
    async with years.working() as entities:
        await _create(years, entities, ca_days=10 * 365)
        least_left = CERTIFICATE_LIFE
        for _ in range(TWO_YEARS // (10 * DAY)):
            await years.pass_days(10)
            now = await years.environment.get_current_time()
            _, certificate = years.world.issued[NAME]
            _, database = years.world.records[NAME]
            least_left = min(least_left, certificate.not_after - now)
            assert now - database.rotated_at < ROTATE_EVERY + 2 * LOOK_EVERY
            assert years.condition(NamespaceCondition.READY) == ("True", "Proven")
            assert years.condition(NamespaceCondition.CERTIFICATE_VALID) == ("True", "Valid")
            assert years.condition(NamespaceCondition.IN_SYNC) == ("True", "AsMade")

        run = await entities.namespaces.handle(NAME).describe()

    assert least_left > RENEW_BEFORE - 2 * LOOK_EVERY
    renewals = TWO_YEARS / (CERTIFICATE_LIFE - RENEW_BEFORE)
    assert abs(years.world.calls["issued"] - 1 - renewals) <= 1
    assert abs(years.times(Step.WRITE_DATABASE) - 1 - TWO_YEARS / ROTATE_EVERY) <= 1
    assert years.times(Step.PROVE) == years.world.calls["issued"], "each certificate is proven"
    assert run.run_id != run.raw_description.workflow_execution_info.first_run_id
    assert run.history_length < 5_000


async def test_a_client_ca_is_said_to_expire_in_time_and_to_have_expired_until_it_is_replaced(
    years: Years,
) -> None:
    async with years.working() as entities:
        await _create(years, entities, ca_days=365)
        told = [years.condition(NamespaceCondition.CLIENT_CA_VALID)]
        # The day before the warning is due, the day after, the day after the end.
        for days in (365 - WARN_BEFORE // DAY - 1, 2, WARN_BEFORE // DAY):
            await years.pass_days(days)
            told.append(years.condition(NamespaceCondition.CLIENT_CA_VALID))

        assert told == [
            ("True", "Valid"),
            ("True", "Valid"),
            ("False", "ExpiresSoon"),
            ("False", "Expired"),
        ]
        # Its clients are shut out, but nothing else of the namespace suffers.
        await years.pass_days(90)
        assert years.condition(NamespaceCondition.CERTIFICATE_VALID) == ("True", "Valid")

        spec = replace(years.view.spec, client_ca=_ca(2 * 365, years.world.now()))
        await entities.namespaces.update(NAME, UpdateNamespace("op2", "", spec))
        await _finished(years, "op2")

        assert years.condition(NamespaceCondition.CLIENT_CA_VALID) == ("True", "Valid")


async def test_after_an_outage_of_weeks_everything_overdue_is_done_at_the_first_look(
    years: Years,
) -> None:
    async with years.working() as entities:
        await _create(years, entities, ca_days=10 * 365)
        await years.pass_days(50)
        _, before = years.world.issued[NAME]

        # Nothing answers any more: the certificate's renewal comes due, and its end.
        years.clock.is_away = True
        await years.pass_days(8 * 7)
        assert years.condition(NamespaceCondition.IN_SYNC) == ("Unknown", "CannotLook")
        assert years.world.issued[NAME][1] == before
        assert await years.environment.get_current_time() > before.not_after

        years.clock.is_away = False
        await years.pass_days(2 * LOOK_EVERY / DAY)

        now = await years.environment.get_current_time()
        _, certificate = years.world.issued[NAME]
        assert certificate.not_after > now + RENEW_BEFORE
        assert now - years.world.records[NAME][1].rotated_at < ROTATE_EVERY
        seen = years.view.observed
        assert seen.proof is not None
        assert seen.proof.digest == years.world.admitted[NAME].digest
        assert years.condition(NamespaceCondition.IN_SYNC) == ("True", "AsMade")
        assert years.condition(NamespaceCondition.CERTIFICATE_VALID) == ("True", "Valid")
        assert years.condition(NamespaceCondition.READY) == ("True", "Proven")


async def _create(years: Years, entities: Entities, ca_days: int) -> None:
    spec = replace(namespace_spec(), client_ca=_ca(ca_days, datetime.now(UTC)))
    await entities.namespaces.create(NAME, CreateNamespace("op1", spec))
    await _finished(years, "op1")


async def _finished(years: Years, operation: str) -> None:
    async def finished() -> bool:
        view = years.world.views.get(NAME)
        return view is not None and any(
            op.id == operation and op.finished_at is not None for op in view.operations
        )

    await eventually(finished, within=30)


def _ca(days: int, now: datetime) -> str:
    """Return a CA that expires so many days after `now`."""
    validity = now - datetime.now(UTC) + timedelta(days=days)
    return new_ca("the tenant's CA", validity=validity).certificate_pem.decode()
