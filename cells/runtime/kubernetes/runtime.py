"""The cells in Kubernetes clusters as something whose software can be changed."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cells.release import NoWay, Release, SchemaStep, Software, Version, way
from cells.runtime.kubernetes import record as records
from cells.runtime.kubernetes.answering import observed
from cells.runtime.kubernetes.clusters import Clusters
from cells.runtime.kubernetes.drift import differences
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.manifests.plan import schema_step
from cells.runtime.kubernetes.progress import Failed
from cells.runtime.kubernetes.record import Record
from cells.runtime.kubernetes.rehearsal import rehearse
from cells.runtime.kubernetes.rollout import Rollout
from cells.runtime.kubernetes.temporal_config import unusable_keys
from cells.runtime.ports import Deployed
from cells.types import CellSpec
from controlplane.errors import rejected

_NEVER = -1
"""A generation that writes nothing: every cell was changed with a higher one."""


@dataclass(frozen=True)
class KubernetesRuntime:
    """Meets `cells.runtime.ports.CellRuntime` for cells in Kubernetes clusters."""

    clusters: Clusters
    turns: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock), repr=False
    )
    """By cell: of those that call this object, one at a time changes it. Others are fenced."""

    async def running(self, cell: str, spec: CellSpec) -> Software:
        """Return what the cell is configured to run."""
        async with self._rollout(cell, spec, _NEVER) as (_, record):
            return record.software

    async def obstacles(self, cell: str, spec: CellSpec, release: Release) -> Sequence[str]:
        """Return what stands against the release. Its server is asked whether it takes the dynamic
        configuration, by a Job, which tells also whether its image can be had."""
        async with self._rollout(cell, spec, _NEVER) as (rollout, record):
            known = self.clusters.settings.server_versions
            try:
                stops = way(record.software.server_version, release, known)
            except NoWay as wrong:
                return [str(wrong)]
            wanted = release.software(record.software)
            found = [
                *(self._unknown(version) for version in stops if version not in known),
                *unusable_keys(wanted.configuration),
            ]
            return found or [
                *await rollout.foreign_fields(rollout.manifests(wanted)),
                *await rehearse(rollout, wanted, stops or (wanted.server_version,)),
            ]

    async def migrate_schema(
        self, cell: str, spec: CellSpec, steps: Sequence[SchemaStep], generation: int
    ) -> None:
        """Bring the cell's stores to a newer schema, with the newest tools there are: they know
        every step to it."""
        async with self._rollout(cell, spec, generation) as (rollout, _):
            await rollout.remember(lambda record: record.under(generation))
            async with self.turns[cell]:
                record = await rollout.remember(lambda record: record)
                for step in steps:
                    if record.schema.get(step.store) != step.version:
                        await self._take(rollout, record.software, step)

    async def deploy(
        self, cell: str, spec: CellSpec, software: Software, generation: int
    ) -> Deployed:
        """Make the cell run this, service by service, and return once it answers in that version.

        Raise `rejected` when a service does not come up: the pods that ran when the cell was last
        well are brought back then, and the message says whether they came.
        """
        self._check(software)
        async with self._rollout(cell, spec, generation) as (rollout, _):
            # At once, so that whoever is at work with a lower generation hears of it.
            await rollout.remember(lambda record: record.under(generation))
            async with self.turns[cell]:
                return await self._deploy(rollout, spec, software)

    async def drift(self, cell: str, spec: CellSpec) -> Sequence[str]:
        """Name each field of the cell's objects that is not as it should be. Changes nothing."""
        async with self._rollout(cell, spec, _NEVER) as (rollout, record):
            return await differences(rollout.client, rollout.manifests(record.software))

    async def repair(self, cell: str, spec: CellSpec) -> None:
        """Make every object of the cell as it should be, whoever has changed it; fields that are
        not ours stay as they are."""
        async with self._rollout(cell, spec, _NEVER) as (found, record), self.turns[cell]:
            rollout = replace(found, generation=record.generation)
            record = await rollout.remember(lambda record: record)
            wanted = rollout.manifests(record.software)
            try:
                await rollout.apply_base(wanted, force=True)
                await rollout.roll(wanted, force=True)
            except Failed as failed:
                raise rejected(str(failed)) from failed

    async def _deploy(self, rollout: Rollout, spec: CellSpec, software: Software) -> Deployed:
        record = await rollout.remember(lambda record: rollout.admit(record, software))
        if record.refusal is not None and record.refusal.software == software:
            raise rejected(record.refusal.why)
        wanted, frontend = rollout.manifests(software), spec.addresses.frontend
        if foreign := await rollout.foreign_fields(wanted):
            raise rejected(
                f"{'; '.join(foreign)}. Repair the cell, which takes these fields back, or let "
                f"whoever set them give them up"
            )
        was_there = record.settled and record.software == software
        record = await rollout.remember(lambda record: record.running(software))
        async with observed(frontend) as outage:
            try:
                await rollout.apply_base(wanted)
                await rollout.bring_schema(wanted, record, software.server_version)
                await rollout.roll(wanted)
                await rollout.until_it_answers(frontend, software.server_version)
            except Failed as failed:
                await _bring_back(rollout, software, str(failed))
        gap = record.gap_seconds if was_there else outage.longest.total_seconds()
        await rollout.settle(wanted, software, gap)
        return Deployed(software.server_version, timedelta(seconds=gap))

    async def _take(self, rollout: Rollout, software: Software, step: SchemaStep) -> None:
        settings, wanted = self.clusters.settings, rollout.manifests(software)
        newest = str(max(map(Version.parse, settings.server_versions)))
        try:
            await rollout.apply_base(wanted)
            await rollout.run_job(schema_step(rollout.layout, step, newest, wanted.files, settings))
        except Failed as failed:
            raise rejected(
                f"the {step.store} store did not come to schema {step.version}: {failed}"
            ) from failed
        await rollout.remember(
            lambda record: replace(record, schema={**record.schema, step.store: step.version})
        )

    def _check(self, software: Software) -> None:
        if software.server_version not in self.clusters.settings.server_versions:
            raise rejected(self._unknown(software.server_version))
        if problems := unusable_keys(software.configuration):
            raise rejected("; ".join(problems))

    def _unknown(self, version: str) -> str:
        known = ", ".join(self.clusters.settings.server_versions)
        return f"there is no image of a Temporal server {version}; there are {known}"

    @contextlib.asynccontextmanager
    async def _rollout(
        self, cell: str, spec: CellSpec, generation: int
    ) -> AsyncIterator[tuple[Rollout, Record]]:
        foundation = spec.foundation
        if foundation is None:
            raise rejected(f"cell {cell} stands on no cloud: it is no cell in a Kubernetes cluster")
        async with self.clusters.client(foundation) as client:
            record = await records.known(client, cell)
            layout = Layout(
                cell=cell,
                provider=spec.provider,
                capacity=spec.capacity,
                failover_version=spec.failover_version,
                foundation=foundation,
                immutable=record.immutable,
            )
            yield await self.clusters.rollout(client, layout, generation, _silently), record


async def _bring_back(rollout: Rollout, software: Software, why: str) -> None:
    """Undo, remember that it was refused, and say so."""
    try:
        back = await rollout.undo()
    except Failed as again:
        why = f"{why}. What ran before did not come back: {again}"
        await rollout.remember_refusal(software, why, None)
        raise rejected(why) from again
    if back is not None:
        why = f"{why}. {back.server_version} runs again as it did before"
    await rollout.remember_refusal(software, why, back)
    raise rejected(why)


async def _silently(_: str) -> None:
    """Tell nobody: a visit shows its phases itself."""
