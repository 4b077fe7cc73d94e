"""A rollout before it happens: the real workflow over a pretended fleet, in virtual time."""
