"""One cell brought to a software, service by service, in steps that can be taken again."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from cells.life.ports import Progress
from cells.release import Software, Version
from cells.runtime.kubernetes import record as records
from cells.runtime.kubernetes.answering import answers_in
from cells.runtime.kubernetes.client import ClusterClient
from cells.runtime.kubernetes.documents import Json, mapping, name_of, text
from cells.runtime.kubernetes.errors import Absent, Changed, FieldConflict
from cells.runtime.kubernetes.layout import CellSecrets, Features, Layout
from cells.runtime.kubernetes.manifests.naming import COMPONENTS, Service, manifest
from cells.runtime.kubernetes.manifests.plan import Manifests, manifests, newest_schema
from cells.runtime.kubernetes.progress import Failed, completed, gone, rolled_out
from cells.runtime.kubernetes.pruning import LAST_GOOD, prune
from cells.runtime.kubernetes.reasons import failed_condition, pods_of, reasons
from cells.runtime.kubernetes.record import GENERATION, Record, Refusal, generation_of
from cells.runtime.kubernetes.settings import KubernetesSettings
from controlplane.errors import stale_generation

_SOFTWARE = TypeAdapter(Software)
_SOFTWARE_KEY = "software"


@dataclass(frozen=True)
class Rollout:
    """A cell's change under one generation, with everything it needs."""

    client: ClusterClient
    layout: Layout
    secrets: CellSecrets
    features: Features
    settings: KubernetesSettings
    generation: int
    progress: Progress

    async def check(self) -> None:
        """Raise `stale_generation` when somebody with a higher generation is at work."""
        record = await records.known(self.client, self.layout.namespace)
        records.fence(self.layout.cell, record, self.generation)

    def manifests(self, software: Software) -> Manifests:
        return manifests(self.layout, software, self.secrets, self.features, self.settings)

    def admit(self, record: Record, software: Software) -> Record:
        """Refuse a software that the cell has left behind under this generation."""
        records.fence(self.layout.cell, record, self.generation, software)
        return record

    async def foreign_fields(self, wanted: Manifests) -> list[str]:
        """Name fields that others have set, and that a roll-out would not take from them."""
        found = []
        for document in wanted.everything:
            try:
                await self.client.apply(document, dry_run=True)
            except FieldConflict as conflict:
                found.append(str(conflict))
        return found

    async def apply_base(self, wanted: Manifests, *, force: bool = False) -> None:
        """Bring what pods need; nothing that runs changes by it."""
        for document in (wanted.namespace, *wanted.base):
            await self.apply(document, force=force)

    async def bring_schema(self, wanted: Manifests, record: Record, server_version: str) -> None:
        """Bring both stores to what the server needs. Earlier servers can live with it."""
        if record.schema_of and Version.parse(server_version) <= Version.parse(record.schema_of):
            return
        for job in newest_schema(self.layout, server_version, wanted.files, self.settings):
            await self.run_job(job)
        await self.remember(lambda record: replace(record, schema_of=server_version))

    async def run_job(self, job: Json) -> None:
        """Return once the Job has done its work; raise Failed when it cannot."""
        name = text(job, "metadata", "name")
        found = await self.client.get("batch/v1", "Job", name, self.layout.namespace)
        if found is not None and failed_condition(found, "Failed"):
            await self.client.delete(found)
            await gone(self.client, [found], self.settings.pace)
        await self.progress(f"{name}: at work")
        await self.apply(job)
        await completed(self.client, self.layout, job, self.settings.pace, self.check)

    async def start_all(self, wanted: Manifests) -> None:
        """Start every service at once, for a cell that serves nobody yet: they need each other."""
        for document in wanted.deployments.values():
            await self._put(document)
        for component in wanted.deployments:
            await self._wait(component)

    async def roll(self, wanted: Manifests, *, force: bool = False) -> None:
        """Bring each service, one after the other; those that are as wanted are left alone."""
        for component, document in wanted.deployments.items():
            await self._put(document, force=force)
            await self._wait(component)

    async def until_it_answers(self, frontend: str, server_version: str) -> None:
        """Return once the server answers at `host:port` in this version."""
        patience = self.settings.pace.answer_deadline
        try:
            await answers_in(frontend, server_version, patience, self.check)
        except Failed as failed:
            pods = await pods_of(self.client, self.layout, Service.FRONTEND)
            why = await reasons(self.client, self.layout, pods)
            raise Failed("; ".join([str(failed), *why])) from failed

    async def undo(self) -> Software | None:
        """Bring back, last first, what ran when the cell was well; return it, or None when the cell
        never was."""
        kept = await self.client.get("v1", "ConfigMap", LAST_GOOD, self.layout.namespace)
        if kept is None:
            return None
        data = mapping(kept, "data")
        for component in reversed([key for key in COMPONENTS if key in data]):
            await self._put(json.loads(str(data[component])), force=True)
            await self._wait(component)
        return _SOFTWARE.validate_json(str(data[_SOFTWARE_KEY]))

    async def settle(self, wanted: Manifests, software: Software, gap_seconds: float) -> Record:
        """Remember that the cell is well as it is, and remove what nothing needs any more."""
        await self.apply(_last_good(self.layout, wanted, software), force=True)
        await prune(self.client, self.layout, self.features, wanted)
        return await self.remember(
            lambda record: replace(record, settled=True, gap_seconds=gap_seconds)
        )

    async def remember_refusal(self, software: Software, why: str, runs: Software | None) -> None:
        """Remember that the cell did not come up with it, and what it runs instead."""
        await self.remember(
            lambda record: replace(
                record,
                software=runs or record.software,
                settled=runs is not None,
                refusal=Refusal(software, why),
            )
        )

    async def remember(self, change: Callable[[Record], Record]) -> Record:
        """Change the cell's record, unless somebody with a higher generation is at work."""

        def changed(record: Record | None) -> Record:
            assert record is not None
            records.fence(self.layout.cell, record, self.generation)
            return change(record)

        return await records.write(self.client, self.layout.namespace, changed)

    async def apply(self, document: Json, *, force: bool = False) -> Json:
        """Apply an object; raise Failed when a field of it is somebody else's."""
        try:
            return await self.client.apply(document, force=force)
        except FieldConflict as conflict:
            raise Failed(
                f"{conflict}. Repair the cell, which takes the fields back, or let whoever set "
                f"them give them up"
            ) from conflict

    async def _put(self, document: Json, *, force: bool = False) -> None:
        """Apply a Deployment, unless one with a higher generation has done so."""
        while True:
            name = text(document, "metadata", "name")
            found = await self.client.get("apps/v1", "Deployment", name, self.layout.namespace)
            if found is not None and generation_of(found) > self.generation:
                raise stale_generation(
                    f"{self.layout.cell}: {name_of(document)} was changed with generation "
                    f"{generation_of(found)}; this call comes too late with {self.generation}"
                )
            try:
                await self.apply(_written(document, self.generation, found), force=force)
            except (Changed, Absent):
                await self.check()
                continue
            return

    async def _wait(self, component: str) -> None:
        await rolled_out(
            self.client, self.layout, component, self.settings.pace, self.progress, self.check
        )


def _written(document: Json, generation: int, found: Json | None) -> Json:
    """Return the object as this generation writes it, over the one that was found."""
    metadata = {
        **mapping(document, "metadata"),
        "annotations": {
            **mapping(document, "metadata", "annotations"),
            GENERATION: str(generation),
        },
    }
    if found is not None:
        metadata["resourceVersion"] = text(found, "metadata", "resourceVersion")
    return {**document, "metadata": metadata}


def _last_good(layout: Layout, wanted: Manifests, software: Software) -> Json:
    """Return what an undo brings back: the objects themselves, since what makes them may have
    changed by then."""
    data: Json = {name: json.dumps(document) for name, document in wanted.deployments.items()}
    data[_SOFTWARE_KEY] = _SOFTWARE.dump_json(software).decode()
    return manifest("v1", "ConfigMap", layout, LAST_GOOD, LAST_GOOD, data=data)
