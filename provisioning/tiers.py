"""How much a namespace matters, as its tags say. Pure."""

from collections.abc import Mapping
from enum import StrEnum

TIER_TAG = "tier"
"""The tag that says it: `gold`, `silver` or `bronze`."""


class Tier(StrEnum):
    GOLD = "gold"
    SILVER = "silver"
    BRONZE = "bronze"
    """Whatever has no such tag, or another value there."""

    @property
    def rank(self) -> int:
        """0 for what matters most."""
        return tuple(Tier).index(self)


def tier_of(tags: Mapping[str, str]) -> Tier:
    value = tags.get(TIER_TAG, "").lower()
    return Tier(value) if value in tuple(Tier) else Tier.BRONZE
