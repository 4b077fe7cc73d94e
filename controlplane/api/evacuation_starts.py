"""How evacuations begin: what a request means, once."""

import re
from dataclasses import dataclass

from temporalio.exceptions import ApplicationError

from controlplane.api.evacuation_types import NewEvacuation
from controlplane.api.operator_calls import actor
from controlplane.api.ports import EvacuationWriter
from controlplane.errors import invalid_argument, not_found
from controlplane.identity.types import Principal
from controlplane.store.audit_entries import canonical
from controlplane.store.evacuations import Evacuations
from controlplane.store.queries import ReadModel
from provisioning.evacuation.policy import check_policy
from provisioning.evacuation.ports import EvacuationProjection
from provisioning.evacuation.types import EvacuationView, StartEvacuation

_ID = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?")


@dataclass(frozen=True)
class EvacuationStarts:
    reads: ReadModel
    evacuations: Evacuations
    writer: EvacuationWriter
    projection: EvacuationProjection

    async def start(self, caller: Principal, wanted: NewEvacuation) -> EvacuationView:
        """Begin to empty the cell, or return the evacuation that this request began before."""
        if await self.reads.cell(wanted.cell) is None:
            raise not_found(
                f"cell {wanted.cell!r} not found: `controlplane cell list` shows them all"
            )
        evacuation = wanted.id or await self.evacuations.id_for(wanted.cell)
        if not _ID.fullmatch(evacuation):
            raise invalid_argument(
                f"{evacuation!r} is not an evacuation's id: use up to 100 lower-case letters, "
                "digits, dots and hyphens, with a letter or digit at both ends"
            )
        policy = wanted.policy.policy(wanted.kind)
        try:
            check_policy(wanted.kind, policy)
        except ValueError as error:
            raise invalid_argument(f"policy: {error}") from None
        asked = StartEvacuation(
            evacuation,
            wanted.cell,
            wanted.kind,
            policy,
            actor(caller),
            wanted.reason,
            wanted.source_lost,
        )
        content = canonical(wanted.model_dump(mode="json", exclude={"id"}))
        claim = await self.evacuations.claim(asked, content, caller.account.id)
        if claim.view is not None:
            return claim.view
        try:
            view = await self.writer.start(claim.start)
        except ApplicationError as refusal:
            if refusal.non_retryable:
                await self.evacuations.withdraw(evacuation)
            raise
        # The workflow publishes this too, but later: a read right after this call must see it.
        await self.projection.publish_evacuation(view)
        return view
