"""Whether server versions take a dynamic configuration, asked of the servers themselves."""

from collections.abc import Sequence

from cells.release import Software
from cells.runtime.kubernetes.documents import text
from cells.runtime.kubernetes.manifests.jobs import rehearsal_job
from cells.runtime.kubernetes.manifests.plan import dynamic_config_map
from cells.runtime.kubernetes.progress import Failed, completed, gone
from cells.runtime.kubernetes.rollout import Rollout


async def rehearse(rollout: Rollout, software: Software, versions: Sequence[str]) -> Sequence[str]:
    """Return what the servers of these versions say against it; that one has no image, too.

    A server that runs ignores keys and values that it does not take, and says little of it.
    """
    client, layout, settings = rollout.client, rollout.layout, rollout.settings
    dynamic = dynamic_config_map(layout, software, settings)
    await client.apply(dynamic)
    problems = []
    for version in versions:
        job = rehearsal_job(layout, version, text(dynamic, "metadata", "name"), settings)
        # What an earlier one has found may not hold any more.
        if (found := await _present(rollout, text(job, "metadata", "name"))) is not None:
            await client.delete(found)
            await gone(client, [found], settings.pace)
        applied = await client.create(job)
        try:
            await completed(client, layout, job, settings.pace, _nothing)
        except Failed as failed:
            problems.append(f"Temporal {version}: {failed}")
        await client.delete(applied)
    return problems


async def _present(rollout: Rollout, name: str) -> dict[str, object] | None:
    return await rollout.client.get("batch/v1", "Job", name, rollout.layout.namespace)


async def _nothing() -> None:
    """Nobody fences a question."""
