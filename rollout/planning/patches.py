"""What the bakes of a release count for another that is a patch of it."""

from dataclasses import replace
from datetime import timedelta

from cells.release import Release, Version
from rollout.bake import PatchCredit
from rollout.planning.pace import ring_bake
from rollout.policy import ring_policy, share
from rollout.types import RolloutState, RolloutView


def patch_credit(patch: Release, corrected: Release, brought: RolloutView | None) -> PatchCredit:
    """Return what the bakes of `corrected` had been credited when the rollout of its patch began.

    `brought` is the latest rollout of it; None when there was none. How much of it counts in each
    ring is for the policy to say (`RingPolicy.patch_credit`).
    """
    if refused := _too_different(patch, corrected):
        return PatchCredit(corrected.name, "", refused=refused)
    if brought is None:
        why = f"{corrected.name} was never rolled out, and has baked nowhere"
        return PatchCredit(corrected.name, "", refused=why)
    rings = {
        number: min(ring.bake.credit - ring.bake.inherited, ring.bake.needed)
        for number, ring in sorted(brought.rings.items())
        # What batches have baked is proof of one batch, not of the ring.
        if ring.bake is not None and ring.bakes_ring
    }
    return PatchCredit(
        corrected.name, brought.id, {n: earned for n, earned in rings.items() if earned}
    )


def head_start(state: RolloutState, ring: int, needed: timedelta) -> timedelta:
    """Return how much of a ring's bake counts as credited before it begins."""
    known = state.patch_credit
    if known is None or known.refused:
        return timedelta(0)
    percent = share(ring_policy(state.policy, ring).patch_credit, 100, at_least=0)
    return min(known.rings.get(ring, timedelta(0)), needed * percent / 100)


def head_starts(state: RolloutState) -> dict[int, timedelta]:
    """Return the same by ring, for rings whose bakes get any."""
    rings = () if state.patch_credit is None else state.patch_credit.rings
    starts = {ring: head_start(state, ring, ring_bake(state, ring)) for ring in rings}
    return {ring: ahead for ring, ahead in starts.items() if ahead}


def forfeit(state: RolloutState, ring: int) -> None:
    """Let nothing count in a ring any more: the patch itself was found bad there."""
    known = state.patch_credit
    if known is not None and ring in known.rings:
        left = {number: earned for number, earned in known.rings.items() if number != ring}
        state.patch_credit = replace(known, rings=left)


def _too_different(patch: Release, corrected: Release) -> str:
    """Return why a release is more than a patch, whatever it says of itself."""
    what = f"{patch.name} says that it is a patch of {corrected.name}"
    if patch.schema_steps:
        return f"{what}, and changes the schema"
    if patch.ingress_version != corrected.ingress_version:
        return f"{what}, and changes the ingress"
    if patch.configuration != corrected.configuration:
        return f"{what}, and changes the configuration"
    if not patch.server_version or not corrected.server_version:
        return f"{what}, and one of them has no server"
    ours, theirs = Version.parse(patch.server_version), Version.parse(corrected.server_version)
    if (ours.major, ours.minor) != (theirs.major, theirs.minor):
        return f"{what}, and has server {ours} where that has {theirs}: another minor version"
    return ""
