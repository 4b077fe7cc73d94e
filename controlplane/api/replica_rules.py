"""Where a namespace is to have replicas: what callers say of it, read and checked. Pure."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.cloud.namespace.v1 import NamespaceSpec as Declaration

from controlplane.api import limits
from controlplane.errors import failed_precondition, invalid_argument
from provisioning.types import NamespaceView

Regions = tuple[str, ...]
"""That of each replica, the preferred one first; one that occurs twice has two."""


@dataclass(frozen=True)
class ReplicaRules:
    """What holds for every namespace of the fleet."""

    known: Collection[str]
    """The regions that the fleet has."""
    cooldown: timedelta = timedelta(0)
    """How long a region that was left is not returned to."""

    def of_new(self, declared: Declaration) -> Regions:
        """Return where a namespace begins; raise `invalid_argument` for where it cannot."""
        replicas, regions = _replicas(declared), tuple(declared.regions)
        if replicas and regions and sorted(replicas) != sorted(regions):
            raise _disagreeing(regions, replicas)
        wanted = replicas or regions
        if not wanted:
            raise invalid_argument(
                f"the spec names no region: send one of {self._listed()} in spec.replicas"
            )
        _check_number(wanted)
        self._check_known(wanted)
        return wanted

    def of_changed(self, declared: Declaration, view: NamespaceView, now: datetime) -> Regions:
        """Return where the namespace is to be; a spec that names no region leaves it where it is.

        Raise what says why that cannot be.
        """
        wanted = _wanted(declared, view.spec.regions)
        self.check_change(view, wanted, now)
        return wanted

    def check_change(self, view: NamespaceView, wanted: Regions, now: datetime) -> None:
        """Raise unless the namespace's replicas may come to be in these regions."""
        present = Counter(view.spec.regions)
        added, removed = Counter(wanted) - present, present - Counter(wanted)
        if added:
            _check_number(wanted)
        self._check_known(added)
        if removed and view.active_region not in wanted:
            raise failed_precondition(
                f"namespace {view.id} is active in {view.active_region}, and would have no replica "
                f"there but in {', '.join(wanted)}: fail over to another of its regions before "
                "(FailoverNamespaceRegion), or keep that one; a namespace moves by adding a "
                "region, failing over to it, and removing the other"
            )
        for region in added:
            self._check_return(view, region, present[region], now)

    def _check_known(self, wanted: Collection[str]) -> None:
        for region in wanted:
            if region not in self.known:
                raise invalid_argument(
                    f"region {region[:100]!r} is not part of this fleet: send one of "
                    f"{self._listed()}"
                )

    def _check_return(self, view: NamespaceView, region: str, present: int, now: datetime) -> None:
        actual = sum(replica.region == region for replica in view.passive.values())
        if actual + (view.active_region == region) > present:
            raise failed_precondition(
                f"the replica that namespace {view.id} had in {region} is still being removed: add "
                "one again once that is done"
            )
        left = view.left_regions.get(region)
        if left is not None and now < left + self.cooldown:
            raise failed_precondition(
                f"namespace {view.id} left {region} at {left:%Y-%m-%d %H:%M} UTC, and does not "
                f"return there for {self.cooldown.days} days: add it after "
                f"{left + self.cooldown:%Y-%m-%d %H:%M} UTC, or choose another region"
            )

    def _listed(self) -> str:
        return ", ".join(sorted(self.known)) or "(the fleet has no regions yet)"


def kept(regions: Regions) -> tuple[str, Regions]:
    """Return `region` and `replicas` of the spec that says so, in one form for each meaning."""
    return regions[0], regions if len(regions) > 1 else ()


def with_region(view: NamespaceView, region: str) -> Regions:
    """Return where the namespace is when it has a replica in this region, too."""
    if region in view.spec.regions:
        raise invalid_argument(
            f"namespace {view.id} has {region} among its regions already: a second replica there "
            "takes an UpdateNamespace that names the region twice in spec.replicas"
        )
    return (*view.spec.regions, region)


def without_region(view: NamespaceView, region: str) -> Regions:
    """Return where the namespace is when it has a replica less in this region."""
    left = list(reversed(view.spec.regions))
    if region not in left:
        raise invalid_argument(
            f"region {region[:100]!r} is not one of namespace {view.id}'s: it is in "
            f"{', '.join(view.spec.regions)}"
        )
    if len(left) == 1:
        raise failed_precondition(
            f"{region} is the only region of namespace {view.id}: add another and fail over to it "
            "before, or delete the namespace"
        )
    # Of two in one region, the later one: the first is the preferred one.
    left.remove(region)
    return tuple(reversed(left))


def check_target(view: NamespaceView, region: str) -> None:
    """Raise unless the namespace can be made active in the region; it may be so already."""
    if region not in view.spec.regions:
        raise invalid_argument(
            f"region {region[:100]!r} is not one of namespace {view.id}'s: fail over to one of "
            f"{', '.join(view.spec.regions)}"
        )
    if region == view.active_region:
        return
    if region not in {replica.region for replica in view.passive.values()}:
        raise failed_precondition(
            f"the replica of namespace {view.id} in {region} is still being added: fail over once "
            "that is done"
        )


def _wanted(declared: Declaration, present: Regions) -> Regions:
    """Return the regions that the spec means.

    Clients of one age send the one field, those of another the other, and many send both as they
    read them, having changed one. The older field has no order.
    """
    replicas, regions = _replicas(declared), tuple(declared.regions)
    if sorted(regions) == sorted(present):
        regions = ()
    if replicas in ((), present):
        return regions or present
    if regions and sorted(regions) != sorted(replicas):
        raise _disagreeing(regions, replicas)
    return replicas


def _replicas(declared: Declaration) -> Regions:
    return tuple(replica.region for replica in declared.replicas)


def _check_number(wanted: Sequence[str]) -> None:
    if len(wanted) > limits.REPLICAS:
        raise invalid_argument(
            f"the spec names {len(wanted)} regions ({', '.join(wanted)}): send "
            f"{limits.REPLICAS} at most, where the namespace is active at first and where its "
            "replica is"
        )


def _disagreeing(regions: Sequence[str], replicas: Sequence[str]) -> Exception:
    return invalid_argument(
        f"spec.regions ({', '.join(regions)}) and spec.replicas ({', '.join(replicas)}) name "
        "different regions: send one of the two"
    )
