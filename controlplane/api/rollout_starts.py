"""How rollouts begin: what a request means, once, and what it would do if it were begun."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.exceptions import ApplicationError

from cells.release import Release
from controlplane.api.dry_runs import dry_run
from controlplane.api.operator_calls import actor
from controlplane.api.ports import RolloutWriter
from controlplane.api.release_routes import known_release
from controlplane.api.rollout_types import DryRun, NewRollout
from controlplane.errors import failed_precondition, invalid_argument
from controlplane.identity.types import Principal
from controlplane.store.audit_entries import canonical
from controlplane.store.queries import ReadModel
from controlplane.store.releases import Releases
from controlplane.store.rollouts import Rollouts
from rollout.bake import PatchCredit
from rollout.plan import problems
from rollout.planning.patches import patch_credit
from rollout.policy import RolloutPolicy, check_policy
from rollout.ports import Inventory, RolloutProjection
from rollout.types import Fleet, RolloutView, StartRollout

_ID = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?")
_MOST_OF_A_RELEASE = 1000
"""Rollouts whose ids are derived from its name."""


@dataclass(frozen=True)
class RolloutStarts:
    releases: Releases
    rollouts: Rollouts
    inventory: Inventory
    reads: ReadModel
    writer: RolloutWriter
    projection: RolloutProjection

    async def start(self, caller: Principal, wanted: NewRollout) -> RolloutView:
        """Begin the rollout, or return the one that this request began before."""
        if not wanted.reason.strip():
            raise invalid_argument(
                "a rollout needs a reason: say why, for whoever reads the audit log later"
            )
        asked = await self.request(caller, wanted)
        claim = await self.rollouts.claim(asked, _content(asked, wanted), caller.account.id)
        if claim.view is not None:
            return claim.view
        try:
            if claim.is_new:
                _check_feasible(claim.start, await self.inventory.take())
            view = await self.writer.start(claim.start)
        except ApplicationError as refusal:
            if refusal.non_retryable:
                await self.rollouts.withdraw(asked.id)
            raise
        # The rollout publishes this too, but later: a read right after this call must see it.
        await self.projection.publish_rollout(view)
        return view

    async def plan(self, caller: Principal, wanted: NewRollout) -> DryRun:
        """Return what the rollout would do if it began now."""
        request = await self.request(caller, wanted)
        fleet = await self.inventory.take()
        cells = {cell.id: cell for cell in await self.reads.cells()}
        components = set(request.release.components)
        writing = tuple(
            rollout
            for rollout, other in (await self.rollouts.unfinished()).items()
            if other is None or components.intersection(other.release.components)
        )
        return dry_run(request, fleet, cells, writing, datetime.now(UTC))

    async def request(self, caller: Principal, wanted: NewRollout) -> StartRollout:
        """Return what is to be begun; raise `invalid_argument` for what cannot be."""
        release = (await known_release(self.releases, wanted.release)).release
        rollout = wanted.id or await self._derived_id(release)
        if not _ID.fullmatch(rollout):
            raise invalid_argument(
                f"{rollout!r} is not a rollout's id: use up to 100 lower-case letters, digits, "
                "dots and hyphens, with a letter or digit at both ends"
            )
        return StartRollout(
            rollout,
            release,
            _policy(wanted),
            actor(caller),
            wanted.reason,
            wanted.lane,
            await self._patch_credit(release),
        )

    async def _patch_credit(self, release: Release) -> PatchCredit | None:
        if not release.patch_of:
            return None
        corrected = (await known_release(self.releases, release.patch_of)).release
        return patch_credit(release, corrected, await self.rollouts.latest_of(corrected.name))

    async def _derived_id(self, release: Release) -> str:
        """Return the release's name, numbered once rollouts of that id have ended."""
        numbered = (f"{release.name}-{number}" for number in range(2, _MOST_OF_A_RELEASE + 1))
        ids = [release.name, *numbered]
        ended = await self.rollouts.ended(ids)
        return next((each for each in ids if each not in ended), ids[-1])


def _policy(wanted: NewRollout) -> RolloutPolicy:
    try:
        policy = wanted.policy.policy()
        check_policy(policy)
    except ValueError as error:
        raise invalid_argument(f"policy: {error}") from None
    return policy


def _check_feasible(start: StartRollout, fleet: Fleet) -> None:
    if found := problems(start.policy, fleet, start.release):
        raise failed_precondition(f"rollout {start.id} cannot be carried out: {'; '.join(found)}")


def _content(start: StartRollout, wanted: NewRollout) -> str:
    """Return what tells this request from another one: who sends it does not matter."""
    return canonical(
        {
            "release": [start.release.name, start.release.digest],
            "policy": wanted.policy.model_dump(mode="json", exclude_none=True),
            "lane": start.lane.value,
            "reason": start.reason,
        }
    )
