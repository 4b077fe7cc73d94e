"""The steps of building and dismantling one cell's infrastructure, each on its own."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cells.infrastructure.adoption import import_id
from cells.infrastructure.failures import (
    StateLocked,
    TerraformFailed,
    already_there,
    failure,
    moved,
)
from cells.infrastructure.left import Left
from cells.infrastructure.locks import StateLock, is_left_by, refused_by
from cells.infrastructure.messages import Diagnostic, shortened
from cells.infrastructure.plans import Change, Plan, read_plan, read_state
from cells.infrastructure.program import Program
from cells.infrastructure.runs import Run
from cells.infrastructure.workspace import Workspace
from cells.life.ports import Progress

_PLAN_FILE = "plan.bin"
_NOT_THERE = "Cannot import non-existent remote object"
_LOCK_LOOK = timedelta(seconds=2)


@dataclass
class Work:
    """Terraform at work on one cell, in a folder that nobody else is in."""

    program: Program
    workspace: Workspace
    progress: Progress

    @property
    def is_heir(self) -> bool:
        """Whether an earlier run has left what may not be in the state."""
        return bool(Left.read(self.workspace.folder))

    async def init(self) -> None:
        """Get providers and backend ready."""
        await self.progress("terraform init")
        await self.program.asked("init", "-input=false", "-no-color", "-reconfigure")

    async def plan(self, *arguments: str, only: Sequence[str] = ()) -> Plan:
        """Return what would be done, from a look at the world, kept in a file for `apply`.

        `only` are the addresses it is about; none: all of them.
        """
        await self.progress("terraform plan")
        file = self.workspace.folder / _PLAN_FILE
        file.unlink(missing_ok=True)
        targets = [f"-target={address}" for address in only]
        errors = await self._run("plan", f"-out={_PLAN_FILE}", *arguments, *targets)
        others = moved(errors) if only else []
        if others and not set(others) <= set(only):
            return await self.plan(*arguments, only=[*only, *others])
        if errors:
            raise failure("terraform plan", errors)
        # It holds variables and the whole state.
        file.chmod(0o600)
        shown = await self.program.asked("show", "-json", _PLAN_FILE)
        plan = read_plan(shown, await asyncio.to_thread(self._digest))
        summary = plan.summary
        await self.progress(
            f"plan {plan.digest[:12]}: {summary.add} to add, {summary.change} to change, "
            f"{summary.destroy} to destroy"
        )
        return plan

    async def apply(self, plan: Plan) -> bool:
        """Do what a plan says. Return False when some of it was there already: it is in the state
        now, and needs another plan."""
        if await asyncio.to_thread(self._digest) != plan.digest:
            raise TerraformFailed("the plan file is not the one that was read: plan again")
        errors = await self._run("apply", _PLAN_FILE)
        (self.workspace.folder / _PLAN_FILE).unlink(missing_ok=True)
        if not errors:
            return True
        planned = {change.address: change for change in plan.changes}
        adopted = False
        for error in already_there(errors):
            change = planned.get(error.address)
            id = self._import_id(change) if change else None
            if change and id:
                adopted = await self._adopt(change, id) or adopted
        if not adopted:
            raise failure("terraform apply", errors)
        return False

    async def take_over(self, plan: Plan) -> bool:
        """Bring into the state what a run that was ended has left, where this plan would make it
        anew. Return whether there was such a thing."""
        left = Left.read(self.workspace.folder)
        taken = False
        for change in plan.changes:
            if change.is_tainted and change.address in left.begun:
                await self._untaint(change.address)
                taken = True
            elif change.makes and (change.address in left.begun or change.address in left.made):
                id = left.made.get(change.address) or self._import_id(change)
                if id is None:
                    await self.progress(
                        f"{shortened(change.address)}: was being made when Terraform was killed, "
                        "and has no name of ours: look whether it is there twice"
                    )
                else:
                    taken = await self._adopt(change, id) or taken
        Left.forget(self.workspace.folder)
        return taken

    async def unprotect(self) -> bool:
        """Let the cloud delete what it protects; make nothing that is not there. Return whether
        there was such a thing."""
        if not self.workspace.has_protection:
            return False
        state = read_state(await self.program.asked("show", "-json"))
        protected = [resource for resource in state if resource.is_protected]
        for resource in protected:
            if resource.is_tainted:
                await self._untaint(resource.address)
        if protected:
            await self.progress("switching deletion protection off")
            plan = await self.plan(only=[resource.address for resource in protected])
            if not plan.is_empty:
                await self.apply(plan)
        return bool(protected)

    async def outputs(self) -> str:
        """Return the outputs of the cell's module, in JSON."""
        said = json.loads(await self.program.asked("output", "-json"))
        return json.dumps(said.get("cell", {}).get("value") or {})

    async def _untaint(self, address: str) -> None:
        await self.progress(f"{shortened(address)}: was being made; it is kept")
        await self.program.asked("untaint", "-no-color", "-lock-timeout=30s", address)

    def _import_id(self, change: Change) -> str | None:
        return import_id(change, self.workspace.account, self.workspace.blueprint.cloud_region)

    async def _adopt(self, change: Change, id: str) -> bool:
        """Bring into the state what is there. Return False if it is not."""
        await self.progress(f"{shortened(change.address)}: is there already as {id}; it is adopted")
        try:
            await self.program.asked(
                *("import", "-input=false", "-no-color", "-lock-timeout=30s", change.address, id)
            )
        except TerraformFailed as error:
            if _NOT_THERE not in str(error):
                raise
            return False
        return True

    async def _run(self, operation: str, *arguments: str) -> list[Diagnostic]:
        """Run plan or apply; wait while somebody else has the lock of the state."""
        told: str | None = None
        clock = asyncio.get_running_loop().time
        until = clock() + self.program.settings.lock_patience.total_seconds()
        while True:
            errors = await self.program.run(operation, *arguments, progress=self.progress)
            lock, dead = refused_by(errors), Run.dead(self.workspace.folder)
            if lock is None:
                if dead and not errors:
                    dead.forget()
                return errors
            if dead and is_left_by(lock, dead):
                await self._unlock(lock)
                continue
            if clock() > until:
                raise StateLocked(
                    f"the state of {self.workspace.blueprint.cell} is locked by {lock.text}. When "
                    f"nobody is at work on it any more, run `terraform force-unlock {lock.id}` in "
                    f"{self.workspace.folder}"
                )
            if told != lock.id:
                told = lock.id
                await self.progress(f"waiting for the state: locked by {lock.text}")
            await asyncio.sleep(_LOCK_LOOK.total_seconds())

    async def _unlock(self, lock: StateLock) -> None:
        await self.progress(f"releasing the lock {lock.id}, left by a run of ours that has died")
        await self.program.asked("force-unlock", "-force", "-no-color", lock.id)

    def _digest(self) -> str:
        return hashlib.sha256((self.workspace.folder / _PLAN_FILE).read_bytes()).hexdigest()
