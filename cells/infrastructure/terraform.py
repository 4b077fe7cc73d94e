"""Infrastructure made and taken down by Terraform: the adapter of `cells.life.ports`."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cells.infrastructure.folder_lock import alone_in
from cells.infrastructure.foundation import foundation
from cells.infrastructure.plans import refuse_losses
from cells.infrastructure.program import Program
from cells.infrastructure.runs import Run
from cells.infrastructure.settings import InfrastructureSettings
from cells.infrastructure.work import Work
from cells.infrastructure.workspace import PROTECTION, Workspace
from cells.life.ports import PlannedChanges, Progress
from cells.life.types import Blueprint
from cells.providers.ports import Variable
from cells.providers.types import Account, Foundation
from cells.types import Provider


class TerraformAccess(Protocol):
    """What of a cloud Terraform needs: a part of `cells.providers.ports.Cloud`."""

    def variables(self, blueprint: Blueprint, account: Account) -> Mapping[str, Variable]: ...

    async def environment(self, account: Account) -> Mapping[str, str]: ...

    def backend(self, blueprint: Blueprint) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class TerraformInfrastructure:
    """Each cell's infrastructure is the module `cell-aws` or `cell-gcp`, with a state of its own.

    One call at a time works on a cell; another waits for it, also for one whose worker has died.
    """

    settings: InfrastructureSettings
    clouds: Mapping[Provider, TerraformAccess]

    async def plan(self, blueprint: Blueprint, account: Account) -> PlannedChanges:
        async with self._at_work(blueprint, account, _told_nobody) as work:
            return (await work.plan()).summary

    async def build(self, blueprint: Blueprint, account: Account, progress: Progress) -> Foundation:
        async with self._at_work(blueprint, account, progress) as work:
            while True:
                plan = await work.plan()
                if await work.take_over(plan):
                    continue
                refuse_losses(plan)
                if plan.is_empty or await work.apply(plan):
                    return foundation(await work.outputs(), work.workspace.module, account)

    async def dismantle(self, blueprint: Blueprint, account: Account, progress: Progress) -> None:
        async with self._at_work(blueprint, account, progress, protected=False) as work:
            if work.is_heir:
                await work.take_over(await work.plan())
            plan = await work.plan("-destroy")
            if await work.unprotect():
                plan = await work.plan("-destroy")
            if not plan.is_empty:
                await work.apply(plan)
            await asyncio.to_thread(shutil.rmtree, work.workspace.folder)

    @contextlib.asynccontextmanager
    async def _at_work(
        self,
        blueprint: Blueprint,
        account: Account,
        progress: Progress,
        *,
        protected: bool = True,
    ) -> AsyncIterator[Work]:
        """Have the cell's folder for oneself, ready, with nothing of an earlier run alive."""
        cloud = self.clouds[blueprint.provider]
        folder = self._folder(blueprint)
        async with alone_in(folder, progress):
            earlier = await asyncio.to_thread(Run.not_ended, folder)
            if earlier:
                await progress(f"an earlier terraform {earlier.operation} was not seen to end")
                await Program(self.settings, folder, {}).follow(earlier, progress)
            program = Program(self.settings, folder, await cloud.environment(account))
            workspace = Workspace(folder, self.settings.modules, blueprint, account)
            variables = dict(cloud.variables(blueprint, account))
            if not protected and workspace.has_protection:
                variables[PROTECTION] = False
            await asyncio.to_thread(workspace.write, variables, cloud.backend(blueprint))
            work = Work(program, workspace, progress)
            await work.init()
            yield work

    def _folder(self, blueprint: Blueprint) -> Path:
        return self.settings.folder / f"{blueprint.cell}-{blueprint.uid}"


async def _told_nobody(_text: str) -> None:
    """A plan is quick enough to be waited for without a word."""
