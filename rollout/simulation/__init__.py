"""A rollout before it happens: the real workflow over a pretended fleet, in skipped time."""
