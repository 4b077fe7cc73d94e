"""What a request about a cell's life means, once: a new cell, or something wanted of one."""

from dataclasses import dataclass
from uuid import uuid4

from temporalio.exceptions import ApplicationError

from cells.life.types import (
    Blueprint,
    CreateCell,
    LifeCommand,
    LifeCommandKind,
    LifeView,
    Phase,
)
from cells.release import Version
from cells.types import Capacity, Provider
from controlplane.api import limits
from controlplane.api.evacuation_starts import EvacuationStarts
from controlplane.api.evacuation_types import NewEvacuation
from controlplane.api.life_types import LifeRequest, NewCell
from controlplane.api.locations import LOCATIONS
from controlplane.api.operator_calls import actor
from controlplane.api.ports import LifeWriter
from controlplane.errors import failed_precondition, invalid_argument
from controlplane.identity.types import Principal
from controlplane.ids import CELL_ID
from controlplane.store.cell_blueprints import AskedCell, CellBlueprints
from controlplane.store.cell_lives import CellLives
from controlplane.store.queries import ReadModel
from controlplane.store.releases import Releases
from provisioning.evacuation.policy import EvacuationKind
from rollout.policy import default_policy


@dataclass(frozen=True)
class LifeRequests:
    blueprints: CellBlueprints
    reads: ReadModel
    releases: Releases
    writer: LifeWriter
    lives: CellLives
    emptying: EvacuationStarts

    async def create(self, caller: Principal, wanted: NewCell) -> LifeView:
        """Begin to build the cell, or return the life that this request began before."""
        operation, account = operation_of(wanted.operation_id), caller.account.id
        asked = await self._asked(wanted)
        claimed = await self.blueprints.claim(asked, operation, account, actor(caller))
        known = await self.lives.get(wanted.cell)
        if known is not None:
            return known  # It may be over: then its workflow answers no more.
        try:
            view = await self.writer.create(
                CreateCell(operation, claimed.blueprint, claimed.requested_by)
            )
        except ApplicationError as refusal:
            if refusal.non_retryable:
                await self.blueprints.withdraw(operation, account)
            raise
        # The workflow publishes this too, but later: a read right after this call must see it.
        await self.lives.publish_life(view)
        return view

    async def preview(self, caller: Principal, wanted: NewCell) -> Blueprint:
        """Return what the cell would be; raise what would refuse it. Nothing is given away."""
        return await self.blueprints.preview(await self._asked(wanted), caller.account.id)

    async def command(
        self,
        caller: Principal,
        cell: str,
        kind: LifeCommandKind,
        wanted: LifeRequest,
        *,
        drain: bool = False,
    ) -> LifeView:
        """Tell the cell's life what is wanted of it, and begin to empty the cell if it is to be."""
        operation = operation_of(wanted.operation_id)
        command = LifeCommand(operation, kind, actor(caller), wanted.reason, drain)
        view = await self.writer.command(cell, command)
        await self.lives.publish_life(view)
        if drain and view.phase is Phase.DRAINING:
            await self._empty(caller, cell, wanted.reason)
        return view

    async def _asked(self, wanted: NewCell) -> AskedCell:
        if not CELL_ID.fullmatch(wanted.cell):
            raise invalid_argument(
                f"{wanted.cell!r} is not a cell's name: use up to 39 lower-case letters, digits "
                "and hyphens, beginning with a letter and ending with a letter or digit"
            )
        _check_region(wanted.provider, wanted.region)
        if wanted.history_shards.bit_count() != 1:
            raise invalid_argument(
                f"history_shards is {wanted.history_shards}: choose a power of two, such as 512"
            )
        await self._check_ring(wanted.ring)
        await self._check_version(wanted.server_version)
        return AskedCell(
            cell=wanted.cell,
            provider=wanted.provider,
            region=wanted.region,
            ring=wanted.ring,
            server_version=wanted.server_version,
            capacity=Capacity(wanted.capacity.namespaces, wanted.capacity.actions_per_second),
            history_shards=wanted.history_shards,
            failure_domain=wanted.failure_domain,
        )

    async def _check_ring(self, ring: int) -> None:
        """Refuse a ring that leaves a gap: it is a slip of the finger."""
        known = {each.ring for each in default_policy().rings}
        known |= {cell.spec.ring for cell in await self.reads.cells()}
        if ring > max(known) + 1:
            rings = ", ".join(map(str, sorted(known)))
            raise invalid_argument(
                f"ring {ring} is not known: choose one of {rings}, or {max(known) + 1} for a new "
                "one after them"
            )

    async def _check_version(self, version: str) -> None:
        try:
            Version.parse(version)
        except ValueError as error:
            raise invalid_argument(f"server_version: {error}") from None
        known = {cell.server_version for cell in await self.reads.cells() if cell.server_version}
        known |= set(await self.releases.server_versions())
        if version not in known:
            rest = f"choose one of {', '.join(sorted(known))}, or " if known else ""
            raise invalid_argument(
                f"server_version {version} is not known, since no release brings it and no cell "
                f"has it: {rest}create a release of it first"
            )

    async def _empty(self, caller: Principal, cell: str, reason: str) -> None:
        """Begin to drain the cell, unless that is under way."""
        wanted = NewEvacuation(cell=cell, kind=EvacuationKind.DRAIN, reason=reason)
        try:
            await self.emptying.start(caller, wanted)
        except ApplicationError as refusal:
            raise failed_precondition(
                f"{cell} is to go and waits until its namespaces have moved, but nothing moves "
                f"them: {refusal.message}. Then empty it with `controlplane cell drain {cell}`"
            ) from None


def operation_of(given: str) -> str:
    """Return the id that the caller chose for its operation, or one chosen for it."""
    if given and not limits.OPERATION_ID.fullmatch(given):
        raise invalid_argument(
            f"operation_id {given!r} cannot be used: send up to 200 printable ASCII characters "
            "without blanks, a UUID say, or leave it empty"
        )
    return given or str(uuid4())


def _check_region(provider: Provider, region: str) -> None:
    known = [each for each in LOCATIONS if each.startswith(f"{provider.value}-")]
    if region not in known:
        raise invalid_argument(
            f"region {region!r} is not one of {provider.value}'s: choose one of {', '.join(known)}"
        )
