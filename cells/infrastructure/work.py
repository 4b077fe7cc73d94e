"""The steps of building and dismantling one cell's infrastructure, each on its own."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta

from cells.infrastructure.adoption import import_id
from cells.infrastructure.failures import StateLocked, TerraformFailed, already_there, failure
from cells.infrastructure.heard import forget_unfinished, unfinished
from cells.infrastructure.locks import StateLock, is_left_by, refused_by
from cells.infrastructure.messages import Diagnostic, shortened
from cells.infrastructure.plans import Plan, read_plan, read_state
from cells.infrastructure.program import Program
from cells.infrastructure.runs import Run
from cells.infrastructure.workspace import Workspace
from cells.life.ports import Progress

_PLAN_FILE = "plan.bin"
_LOCK_LOOK = timedelta(seconds=5)


@dataclass
class Work:
    """Terraform at work on one cell, in a folder that nobody else is in."""

    program: Program
    workspace: Workspace
    progress: Progress
    _imports: dict[str, str] = field(default_factory=dict)

    async def init(self) -> None:
        """Get providers and backend ready."""
        self.workspace.write_imports({})
        await self.progress("terraform init")
        await self.program.asked("init", "-input=false", "-no-color", "-reconfigure")

    async def plan(self, *arguments: str) -> Plan:
        """Return what would be done, from a look at the world, kept in a file for `apply`."""
        await self.progress("terraform plan")
        file = self.workspace.folder / _PLAN_FILE
        file.unlink(missing_ok=True)
        errors = await self._run("plan", f"-out={_PLAN_FILE}", *arguments)
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
        """Do what a plan says. Return False when some of it is there already: that is imported by
        the next plan."""
        if await asyncio.to_thread(self._digest) != plan.digest:
            raise TerraformFailed("the plan file is not the one that was read: plan again")
        errors = await self._run("apply", _PLAN_FILE)
        (self.workspace.folder / _PLAN_FILE).unlink(missing_ok=True)
        if not errors:
            self.workspace.write_imports({})
            return True
        if not await self._adopt(plan, errors):
            raise failure("terraform apply", errors)
        return False

    async def keep_unfinished(self, plan: Plan) -> bool:
        """Keep what was being made when a run was ended, and would be replaced by this plan: it is
        there, and need not be made anew. Return whether there was such a thing."""
        begun = unfinished(self.workspace.folder)
        kept = [each.address for each in plan.changes if each.is_tainted and each.address in begun]
        for address in kept:
            await self._untaint(address)
        forget_unfinished(self.workspace.folder)
        return bool(kept)

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
            plan = await self.plan(*(f"-target={resource.address}" for resource in protected))
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

    async def _adopt(self, plan: Plan, errors: list[Diagnostic]) -> bool:
        """Note for import what is there already; say whether there was anything new of that."""
        planned = {change.address: change for change in plan.changes}
        ids: dict[str, str] = {}
        for error in already_there(errors):
            change = planned.get(error.address)
            id = import_id(change, self.workspace.account) if change else None
            if id and error.address not in self._imports:
                ids[error.address] = id
        for address, id in ids.items():
            await self.progress(f"{shortened(address)}: is there already as {id}; it is adopted")
        self._imports |= ids
        self.workspace.write_imports(self._imports)
        return bool(ids)

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
