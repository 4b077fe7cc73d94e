"""The side effects of an evacuation, each safe to repeat."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from cells.ledger.types import Acquire, GiveBack
from provisioning.evacuation import leases
from provisioning.evacuation.facts import MoveFacts, Survey
from provisioning.evacuation.following import Followed, is_news, move_facts
from provisioning.evacuation.ports import (
    CellEntities,
    CellLedger,
    Cells,
    Disturbances,
    EvacuationProjection,
    Namespaces,
    ReplicaChanges,
)
from provisioning.evacuation.surveyor import Looking, Surveyor
from provisioning.evacuation.types import EvacuationView, Move, MoveKind, Wish
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    FailOver,
    FailoverCause,
    MigrateNamespace,
    NamespaceView,
)

LOOK_EVERY = timedelta(milliseconds=500)
FOLLOW_FOR = timedelta(seconds=20)
"""A move of which there is no news for so long is asked for anew: the history stays short."""
TELL_PHASE_AFTER = timedelta(seconds=2)
"""For those who watch; a failover that takes less is not told in parts."""


@dataclass(frozen=True)
class CordonFor:
    """Cordon a cell, or take that cordon away again."""

    cell: str
    evacuation: str
    reason: str


@dataclass(frozen=True)
class LeaseAsked:
    lease: Acquire
    replicas: dict[str, tuple[str, ...]]
    """The cells of each of its namespaces."""


@dataclass(frozen=True)
class LeaseTaken:
    number: int
    """0 for none."""
    namespaces: tuple[str, ...] = ()
    hindered: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    """Why the cell cannot be had at all."""


@dataclass(frozen=True)
class MoveAsked:
    namespace: str
    uid: str
    move: Move
    cause: FailoverCause
    reason: str


@dataclass(frozen=True)
class MoveTaken:
    revision: int
    """Of the namespace, now that it has agreed."""
    refused: str = ""


@dataclass(frozen=True)
class WishTold:
    namespace: str
    move: Move
    reason: str


@dataclass(frozen=True)
class EvacuationActivities:
    namespaces: Namespaces
    changes: ReplicaChanges
    fleet: Cells
    cells: CellEntities
    disturbances: Disturbances
    ledger: CellLedger
    projection: EvacuationProjection

    @activity.defn
    async def survey_cell(self, looking: Looking) -> Survey:
        return await Surveyor(self.namespaces, self.fleet, self.disturbances).look(looking)

    @activity.defn
    async def cordon_for_evacuation(self, cordon: CordonFor) -> bool:
        """Let nothing more be placed in the cell; return whether that is this evacuation's doing.

        A cordon that somebody else has put there stays as it is.
        """
        view = await self.cells.describe(cordon.cell)
        if view.cordon is None:
            view = await self.cells.cordon(
                cordon.cell, reason=cordon.reason, by=_cordoned_by(cordon)
            )
        return view.cordon is not None and view.cordon.by == _cordoned_by(cordon)

    @activity.defn
    async def uncordon_after_evacuation(self, cordon: CordonFor) -> bool:
        """Take the evacuation's own cordon away; return whether there was one."""
        view = await self.cells.describe(cordon.cell)
        if view.cordon is None or view.cordon.by != _cordoned_by(cordon):
            return False
        await self.cells.uncordon(cordon.cell)
        return True

    @activity.defn
    async def take_evacuation_lease(self, asked: LeaseAsked) -> LeaseTaken:
        """Ask for the cell and as many of its namespaces as can be had now."""
        names, hindered = asked.lease.namespaces, dict[str, str]()
        while True:
            answer = await self.ledger.acquire(replace(asked.lease, namespaces=names))
            if answer.granted:
                return LeaseTaken(answer.lease, names, hindered)
            found = leases.hindered(names, asked.replicas, answer.conflicts)
            if found.cell:
                return LeaseTaken(answer.lease, refused=found.cell)
            if not found.namespaces:
                raise RuntimeError(f"the ledger refused {names} for {answer.conflicts}")
            hindered.update(found.namespaces)
            names = tuple(name for name in names if name not in hindered)

    @activity.defn
    async def give_back_evacuation_lease(self, request: GiveBack) -> None:
        await self.ledger.give_back(request)

    @activity.defn
    async def begin_move(self, asked: MoveAsked) -> MoveTaken:
        """Ask the namespace to move; return once it has agreed, or why it does not.

        One that is not active any more where it is to be failed over from is not asked: somebody
        was faster.
        """
        move = asked.move
        found = await self.namespaces.named([asked.namespace])
        if not found or found[0].uid != asked.uid:
            return MoveTaken(0, refused=f"{asked.namespace} does not exist any more")
        if move.kind is not MoveKind.MIGRATION and found[0].cell != move.source:
            return MoveTaken(found[0].revision)
        try:
            view = await self._ask(asked)
        except ApplicationError as refusal:
            if not refusal.non_retryable:
                raise
            return MoveTaken(0, refused=refusal.message)
        return MoveTaken(view.revision)

    @activity.defn
    async def follow_move(self, followed: Followed) -> MoveFacts:
        """Return how far the move is as soon as there is news of it, or after a while."""
        began = asyncio.get_running_loop().time()
        while True:
            found = await self.namespaces.named([followed.namespace])
            facts = move_facts(found[0] if found else None, followed, datetime.now(UTC))
            elapsed = timedelta(seconds=asyncio.get_running_loop().time() - began)
            if is_news(facts, followed.move) or elapsed >= FOLLOW_FOR:
                return facts
            if facts.phase != followed.move.phase and elapsed >= TELL_PHASE_AFTER:
                return facts
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    @activity.defn
    async def tell_wish(self, told: WishTold) -> None:
        """Let the namespace know what was decided about its move; too late is no error."""
        move, name = told.move, told.namespace
        operation = f"{move.operation}-{move.wish.value if move.wish else ''}"
        try:
            match move.wish:
                case Wish.CONFIRM:
                    await self.changes.confirm_migration(
                        name, ConfirmMigration(operation, move.change)
                    )
                case Wish.UNDO:
                    await self.changes.abort_change(
                        name, AbortReplicaChange(operation, move.change, told.reason)
                    )
                case None:
                    pass
        except ApplicationError as refusal:
            if not refusal.non_retryable:
                raise
            activity.logger.info("%s does not %s: %s", name, move.wish, refusal.message)

    @activity.defn
    async def publish_evacuation(self, view: EvacuationView) -> None:
        await self.projection.publish_evacuation(view)

    async def _ask(self, asked: MoveAsked) -> NamespaceView:
        move = asked.move
        match move.kind:
            case MoveKind.FAILOVER | MoveKind.RETURN:
                return await self.changes.fail_over(
                    asked.namespace,
                    FailOver(
                        operation=move.operation,
                        cell=move.target,
                        mode=move.mode,
                        cause=asked.cause,
                        reason=asked.reason,
                    ),
                )
            case MoveKind.MIGRATION:
                return await self.changes.migrate(
                    asked.namespace,
                    MigrateNamespace(
                        operation=move.operation,
                        source=move.source,
                        region=await self._region(move.target),
                        cell=move.target,
                        soak=move.soak,
                        confirmed=move.wish is Wish.CONFIRM,
                        reason=asked.reason,
                    ),
                )

    async def _region(self, cell: str) -> str:
        """Return where a cell is; empty for one that has left the fleet."""
        found = (view.spec.region for view in await self.fleet.cells() if view.id == cell)
        return next(found, "")


def _cordoned_by(cordon: CordonFor) -> str:
    return f"evacuation {cordon.evacuation}"
