"""A rollout as others see it."""

from datetime import datetime

from rollout.planning.approvals import evidence_seen, plan_hash
from rollout.planning.budget import budgets
from rollout.planning.eta import estimate
from rollout.types import Fleet, Phase, Plan, RolloutState, RolloutView


def view(state: RolloutState, plan: Plan, fleet: Fleet, now: datetime) -> RolloutView:
    """Return the rollout with what it waits for, what it may still lose, and when it may end."""
    ended, seen = state.phase is Phase.ENDED, evidence_seen(state)
    return RolloutView(
        id=state.id,
        revision=state.revision,
        release=state.release.name,
        release_digest=state.release.digest,
        server_version=state.release.server_version,
        lane=state.lane,
        phase=state.phase,
        outcome=state.outcome,
        message=state.message,
        paused_by=state.paused_by,
        actor=state.actor,
        reason=state.reason,
        started_at=state.started_at,
        ended_at=state.ended_at,
        ring=plan.ring,
        rings=dict(state.rings),
        cells=dict(state.cells),
        waits=plan.waits,
        budgets={ring: str(budget) for ring, budget in budgets(state).items()},
        # Before the first plan was written down there is none to be found in the state.
        plan_hash=state.plan_hash or plan_hash(state, fleet),
        holds=dict(state.holds),
        overrides=dict(state.overrides),
        confounded=dict(state.confounded),
        events=tuple(state.events),
        eta_p50=None if ended else estimate(state, plan, 0.5, now),
        eta_p90=None if ended else estimate(state, plan, 0.9, now),
        blocked=plan.blocked,
        emergency=state.emergency,
        evidence=seen,
        evidence_digest=seen.digest,
        patch_credit=state.patch_credit,
        drifted=dict(state.drifted),
    )
