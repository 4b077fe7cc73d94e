"""How fast a ring moves: the sizes of its batches, and the lengths of its bakes."""

from datetime import timedelta

from rollout.policy import Lane, ring_policy, share
from rollout.types import RolloutState


def batch_size(state: RolloutState, ring: int, size: int, number: int) -> int:
    """Return how many cells the batch of this number, from 0, has in a ring of this size."""
    if number == 0:
        return 1
    if state.lane is Lane.EMERGENCY:
        return 1 << min(number, 20)
    amounts = ring_policy(state.policy, ring).batches
    return share(amounts[min(number, len(amounts) - 1)], size, at_least=1)


def batch_bake(state: RolloutState, ring: int) -> timedelta:
    """Return the credit needed after a batch of the ring."""
    rules = ring_policy(state.policy, ring)
    return rules.emergency_bake if state.lane is Lane.EMERGENCY else rules.batch_bake


def ring_bake(state: RolloutState, ring: int) -> timedelta:
    """Return the credit needed after the last batch of the ring."""
    rules = ring_policy(state.policy, ring)
    return rules.emergency_bake if state.lane is Lane.EMERGENCY else rules.ring_bake
